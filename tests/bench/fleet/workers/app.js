// SPDX-License-Identifier: LGPL-2.1-or-later
// app.js PORT: as app.py, with Node's own server.
'use strict';
const http = require('http');

const words = 'amber basalt cedar dune ember fjord grove harbour inlet juniper kelp lagoon'.split(' ');
const items = [];
for (let i = 0; i < 2000; i++)
        items.push({
                id: i,
                name: `${words[i % 12]} ${words[Math.floor(i * 7 / 12) % 12]} ${i}`,
                price: i * 7919 % 10000 / 100,
        });
const seen = new Map();

function page(title, found) {
        const rows = found.map(item => `<li><a href="/item/${item.id}">${item.name}</a> ${item.price.toFixed(2)}\n`);
        return `<!doctype html>\n<title>${title}</title>\n<h1>${title}</h1>\n<ul>\n${rows.join('')}</ul>\n`;
}

function answer(request, response) {
        const url = new URL(request.url, 'http://localhost');
        const [, what, number] = url.pathname.split('/');
        const item = items[number % items.length];

        if (what === 'item') {
                seen.set(number, (seen.get(number) || 0) + 1);
                response.setHeader('Content-Type', 'text/html');
                response.end(page(item.name, [item]));
        } else if (what === 'search') {
                const word = url.searchParams.get('q');
                response.setHeader('Content-Type', 'text/html');
                response.end(page(word, items.filter(item => item.name.includes(word)).slice(0, 50)));
        } else if (what === 'json') {
                response.setHeader('Content-Type', 'application/json');
                response.end(JSON.stringify({ ...item, seen: seen.get(number) || 0 }));
        } else {
                response.statusCode = 404;
                response.end();
        }
}

http.createServer(answer).listen(Number(process.argv[2]), '127.0.0.1');
