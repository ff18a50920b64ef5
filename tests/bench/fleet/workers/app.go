// SPDX-License-Identifier: LGPL-2.1-or-later

// app PORT: as app.py, linked statically.
package main

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

type item struct {
	ID    int     `json:"id"`
	Name  string  `json:"name"`
	Price float64 `json:"price"`
	Seen  int     `json:"seen"`
}

var (
	words = strings.Fields("amber basalt cedar dune ember fjord grove harbour inlet juniper kelp lagoon")
	items []item
	lock  sync.Mutex
	seen  = map[int]int{}
	page  = template.Must(template.New("page").Parse(`<!doctype html>
<title>{{.Title}}</title>
<h1>{{.Title}}</h1>
<ul>
{{range .Items}}<li><a href="/item/{{.ID}}">{{.Name}}</a> {{printf "%.2f" .Price}}
{{end}}</ul>
`))
)

func render(w http.ResponseWriter, title string, found []item) {
	page.Execute(w, struct {
		Title string
		Items []item
	}{title, found})
}

func number(r *http.Request) int {
	n, _ := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	return n
}

func main() {
	for i := 0; i < 2000; i++ {
		name := fmt.Sprintf("%s %s %d", words[i%12], words[i*7/12%12], i)
		items = append(items, item{ID: i, Name: name, Price: float64(i*7919%10000) / 100})
	}
	http.HandleFunc("/item/", func(w http.ResponseWriter, r *http.Request) {
		n := number(r)
		lock.Lock()
		seen[n]++
		lock.Unlock()
		found := items[n%len(items)]
		render(w, found.Name, []item{found})
	})
	http.HandleFunc("/search", func(w http.ResponseWriter, r *http.Request) {
		word := r.URL.Query().Get("q")
		var found []item
		for _, item := range items {
			if strings.Contains(item.Name, word) && len(found) < 50 {
				found = append(found, item)
			}
		}
		render(w, word, found)
	})
	http.HandleFunc("/json/", func(w http.ResponseWriter, r *http.Request) {
		n := number(r)
		found := items[n%len(items)]
		lock.Lock()
		found.Seen = seen[n]
		lock.Unlock()
		json.NewEncoder(w).Encode(found)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
	os.Exit(1)
}
