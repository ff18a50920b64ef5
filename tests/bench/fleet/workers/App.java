// SPDX-License-Identifier: LGPL-2.1-or-later
// App PORT: as app.py, with the JDK's own server.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

public class App {
        record Item(int id, String name, double price) {}

        static final String[] WORDS =
                "amber basalt cedar dune ember fjord grove harbour inlet juniper kelp lagoon".split(" ");
        static final List<Item> items = new ArrayList<>();
        static final Map<Integer, Integer> seen = new HashMap<>();

        static String page(String title, List<Item> found) {
                return found.stream()
                        .map(item -> String.format(Locale.ROOT, "<li><a href=\"/item/%d\">%s</a> %.2f%n",
                                                   item.id(), item.name(), item.price()))
                        .collect(Collectors.joining("", "<!doctype html>\n<title>" + title + "</title>\n<h1>" +
                                                    title + "</h1>\n<ul>\n", "</ul>\n"));
        }

        static int number(HttpExchange exchange) {
                String path = exchange.getRequestURI().getPath();
                return Integer.parseInt(path.substring(path.lastIndexOf('/') + 1));
        }

        static void send(HttpExchange exchange, String body) throws IOException {
                byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
                exchange.sendResponseHeaders(200, bytes.length);
                try (var out = exchange.getResponseBody()) {
                        out.write(bytes);
                }
        }

        public static void main(String[] args) throws IOException {
                for (int i = 0; i < 2000; i++)
                        items.add(new Item(i, WORDS[i % 12] + " " + WORDS[i * 7 / 12 % 12] + " " + i,
                                           i * 7919 % 10000 / 100.0));
                var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(args[0]));
                HttpServer server = HttpServer.create(address, 0);
                server.createContext("/item", exchange -> {
                        int number = number(exchange);
                        seen.merge(number, 1, Integer::sum);
                        Item item = items.get(number % items.size());
                        send(exchange, page(item.name(), List.of(item)));
                });
                server.createContext("/search", exchange -> {
                        String word = exchange.getRequestURI().getQuery().substring(2);
                        send(exchange, page(word, items.stream().filter(item -> item.name().contains(word))
                                                       .limit(50).toList()));
                });
                server.createContext("/json", exchange -> {
                        int number = number(exchange);
                        Item item = items.get(number % items.size());
                        send(exchange, String.format(Locale.ROOT,
                                "{\"id\":%d,\"name\":\"%s\",\"price\":%.2f,\"seen\":%d}",
                                item.id(), item.name(), item.price(), seen.getOrDefault(number, 0)));
                });
                server.start();
        }
}
