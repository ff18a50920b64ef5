# SPDX-License-Identifier: LGPL-2.1-or-later
# app.pl PORT: as app.py, of Mojolicious and its own server.
use Mojolicious::Lite -signatures;

my @words = qw(amber basalt cedar dune ember fjord grove harbour inlet juniper kelp lagoon);
my @items = map {
        { id => $_, name => "$words[$_ % 12] $words[int($_ * 7 / 12) % 12] $_", price => $_ * 7919 % 10000 / 100 }
} 0 .. 1999;
my %seen;

app->mode('production');
app->log->level('fatal');
app->secrets(['not one']);

get '/item/:number' => [number => qr/\d+/] => sub ($c) {
        my $number = $c->param('number');
        $seen{$number}++;
        my $item = $items[$number % @items];
        $c->render('page', title => $item->{name}, items => [$item]);
};

get '/search' => sub ($c) {
        my $word = $c->param('q');
        my @found = grep { index($_->{name}, $word) >= 0 } @items;
        splice @found, 50 if @found > 50;
        $c->render('page', title => $word, items => \@found);
};

get '/json/:number' => [number => qr/\d+/] => sub ($c) {
        my $number = $c->param('number');
        $c->render(json => { %{$items[$number % @items]}, seen => $seen{$number} // 0 });
};

app->start('daemon', '-l', "http://127.0.0.1:$ARGV[0]");

__DATA__

@@ page.html.ep
<!doctype html>
<title><%= $title %></title>
<h1><%= $title %></h1>
<ul>
% for my $item (@$items) {
<li><a href="/item/<%= $item->{id} %>"><%= $item->{name} %></a> <%= sprintf '%.2f', $item->{price} %>
% }
</ul>
