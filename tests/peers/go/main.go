// go-coap as a peer: the client and the server that test_peers.py describes.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/mux"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/tcp"
	"github.com/plgd-dev/go-coap/v3/udp"
)

const maxBody = 2 << 20

// By itself it gives up a body after three seconds, and so where two datagrams are lost.
var patient = options.WithBlockwise(true, blockwise.SZX1024, time.Minute)

var methods = map[string]codes.Code{
	"get": codes.GET, "post": codes.POST, "put": codes.PUT, "delete": codes.DELETE,
	"fetch": 5, "patch": 6, "ipatch": 7,
}

func must(err error) {
	if err != nil {
		fmt.Printf("failed %v\n", err)
		os.Exit(2)
	}
}

func show(m *pool.Message, output string) {
	body, err := m.ReadBody()
	must(err)
	if output != "" {
		must(os.WriteFile(output, body, 0o644))
	}
	text := body
	if len(text) > 100 {
		text = text[:100]
	}
	fmt.Printf("%d.%02d bytes %d %q\n", m.Code()>>5, m.Code()&31, len(body), text)
}

func dial(u *url.URL) mux.Conn {
	if u.Scheme == "coap+tcp" {
		c, err := tcp.Dial(u.Host, options.WithMaxMessageSize(maxBody), patient)
		must(err)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		must(c.Ping(ctx)) // it puts no blocks together for a request sent before the peer's CSM came
		return c
	}
	c, err := udp.Dial(u.Host, options.WithMaxMessageSize(maxBody), patient)
	must(err)
	return c
}

func request(ctx context.Context, c mux.Conn, method string, u *url.URL, body []byte) *pool.Message {
	r, err := c.NewGetRequest(ctx, u.Path)
	must(err)
	r.SetCode(methods[method])
	for _, q := range strings.FieldsFunc(u.RawQuery, func(c rune) bool { return c == '&' }) {
		r.AddQuery(q)
	}
	if body != nil {
		r.SetContentFormat(message.AppOctets)
		r.SetBody(bytes.NewReader(body))
	}
	return r
}

func observe(ctx context.Context, c mux.Conn, u *url.URL, wanted int, output string) {
	came := make(chan bool, 1000)
	var query []message.Option
	for _, q := range strings.FieldsFunc(u.RawQuery, func(c rune) bool { return c == '&' }) {
		query = append(query, message.Option{ID: message.URIQuery, Value: []byte(q)})
	}
	o, err := c.Observe(ctx, u.Path, func(m *pool.Message) {
		show(m, output)
		came <- true
	}, query...)
	must(err)
	for i := 0; i < wanted; i++ {
		select {
		case <-came:
		case <-ctx.Done():
			must(ctx.Err())
		}
	}
	must(o.Cancel(ctx))
}

func ask(args []string) {
	flags := flag.NewFlagSet("ask", flag.ExitOnError)
	file := flags.String("f", "", "payload")
	output := flags.String("o", "", "where the last body goes")
	match := flags.String("M", "", "If-Match")
	wanted := flags.Int("s", 0, "observe so many")
	must(flags.Parse(args))
	u, err := url.Parse(flags.Arg(1))
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	c := dial(u)
	defer c.Close()
	if *wanted > 0 {
		observe(ctx, c, u, *wanted, *output)
		return
	}
	var body []byte
	if *file != "" {
		body, err = os.ReadFile(*file)
		must(err)
	}
	r := request(ctx, c, flags.Arg(0), u, body)
	if *match != "" {
		etag, err := hex.DecodeString(*match)
		must(err)
		r.AddOptionBytes(message.IfMatch, etag)
	}
	m, err := c.Do(r)
	must(err)
	show(m, *output)
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		serve(os.Args[2])
		return
	}
	ask(os.Args[2:])
}
