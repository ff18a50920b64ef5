# SPDX-License-Identifier: LGPL-2.1-or-later
# app.rb PORT: as app.py, with WEBrick and ERB.
require 'erb'
require 'json'
require 'webrick'

WORDS = %w[amber basalt cedar dune ember fjord grove harbour inlet juniper kelp lagoon].freeze
ITEMS = Array.new(2000) do |i|
  { id: i, name: "#{WORDS[i % 12]} #{WORDS[i * 7 / 12 % 12]} #{i}", price: i * 7919 % 10_000 / 100.0 }
end
PAGE = ERB.new(<<~HTML, trim_mode: '<>')
  <!doctype html>
  <title><%= title %></title>
  <h1><%= title %></h1>
  <ul>
  <% items.each do |item| %>
  <li><a href="/item/<%= item[:id] %>"><%= item[:name] %></a> <%= format('%.2f', item[:price]) %>
  <% end %>
  </ul>
HTML

seen = Hash.new(0)
server = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: ARGV[0].to_i, AccessLog: [],
                                 Logger: WEBrick::Log.new(File::NULL))
server.mount_proc '/item' do |request, response|
  number = request.path_info.delete('/').to_i
  seen[number] += 1
  item = ITEMS[number % ITEMS.size]
  response.body = PAGE.result_with_hash(title: item[:name], items: [item])
end
server.mount_proc '/search' do |request, response|
  word = request.query['q'].to_s
  response.body = PAGE.result_with_hash(title: word,
                                        items: ITEMS.select { |item| item[:name].include?(word) }.first(50))
end
server.mount_proc '/json' do |request, response|
  number = request.path_info.delete('/').to_i
  response.body = JSON.generate(ITEMS[number % ITEMS.size].merge(seen: seen[number]))
end
trap('TERM') { server.shutdown }
server.start
