# SPDX-License-Identifier: LGPL-2.1-or-later
# app.py PORT: a shop of Flask and Jinja, served by waitress. Those beside it, in other languages, answer alike.
import sys

import flask
import waitress

WORDS = "amber basalt cedar dune ember fjord grove harbour inlet juniper kelp lagoon".split()
PAGE = """<!doctype html>
<title>{{ title }}</title>
<h1>{{ title }}</h1>
<ul>
{% for item in items %}<li><a href="/item/{{ item.id }}">{{ item.name }}</a> {{ "%.2f" | format(item.price) }}
{% endfor %}</ul>
"""

items = [
    {"id": i, "name": f"{WORDS[i % 12]} {WORDS[i * 7 // 12 % 12]} {i}", "price": i * 7919 % 10000 / 100}
    for i in range(2000)
]
seen = {}
app = flask.Flask(__name__)


@app.route("/item/<int:number>")
def item(number):
    seen[number] = seen.get(number, 0) + 1
    found = items[number % len(items)]
    return flask.render_template_string(PAGE, title=found["name"], items=[found])


@app.route("/search")
def search():
    word = flask.request.args.get("q", "")
    found = [item for item in items if word in item["name"]][:50]
    return flask.render_template_string(PAGE, title=word, items=found)


@app.route("/json/<int:number>")
def as_json(number):
    return flask.jsonify({**items[number % len(items)], "seen": seen.get(number, 0)})


waitress.serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=4)
