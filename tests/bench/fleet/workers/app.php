<?php
// SPDX-License-Identifier: LGPL-2.1-or-later
// app.php PORT: as app.py. One process that lives on, as those of the long-running servers for PHP do.
$words = explode(' ', 'amber basalt cedar dune ember fjord grove harbour inlet juniper kelp lagoon');
$items = [];
for ($i = 0; $i < 2000; $i++)
        $items[] = [
                'id' => $i,
                'name' => "{$words[$i % 12]} {$words[intdiv($i * 7, 12) % 12]} $i",
                'price' => $i * 7919 % 10000 / 100,
        ];
$seen = [];

function page(string $title, array $found): string
{
        $rows = '';
        foreach ($found as $item)
                $rows .= sprintf("<li><a href=\"/item/%d\">%s</a> %.2f\n", $item['id'],
                                 htmlspecialchars($item['name']), $item['price']);
        return "<!doctype html>\n<title>$title</title>\n<h1>$title</h1>\n<ul>\n$rows</ul>\n";
}

function answer(string $target, array $items, array &$seen): string
{
        $url = parse_url($target);
        [, $what, $number] = explode('/', $url['path'] . '/');
        $item = $items[(int) $number % count($items)];

        switch ($what) {
        case 'item':
                $seen[$number] = ($seen[$number] ?? 0) + 1;
                return page($item['name'], [$item]);
        case 'search':
                parse_str($url['query'], $query);
                $found = array_filter($items, fn($item) => str_contains($item['name'], $query['q']));
                return page($query['q'], array_slice($found, 0, 50));
        default:
                return json_encode($item + ['seen' => $seen[$number] ?? 0]);
        }
}

$server = stream_socket_server("tcp://127.0.0.1:{$argv[1]}");
while (true) {
        $client = stream_socket_accept($server, -1);
        while ($client && preg_match('#^GET (\S+) HTTP/1\.1\r\n$#', (string) fgets($client), $request)) {
                while (trim((string) fgets($client)) !== '')
                        continue;
                $body = answer($request[1], $items, $seen);
                fwrite($client, "HTTP/1.1 200 OK\r\nContent-Length: " . strlen($body) . "\r\n\r\n$body");
        }
}
