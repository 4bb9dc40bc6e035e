package main

// Finding devices by multicast, and their links: where each is served, in clear and secured.

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp"
	"github.com/plgd-dev/go-coap/v3/udp/client"
)

var groups = map[string]string{"IPv4": "224.0.1.187:5683", "IPv6": "[ff02::158]:5683"}

type found struct {
	from string // host of who answered
	body any
}

// ask sends one multicast GET and gives each answer as it comes, until receive says enough or the time is over.
func ask(family, href string, seconds float64, receive func(found) bool) error {
	network := map[string]string{"IPv4": "udp4", "IPv6": "udp6"}[family]
	listener, err := net.NewListenUDP(network, ":0")
	if err != nil {
		return err
	}
	defer listener.Close()
	server := udp.NewServer(options.WithMaxMessageSize(maxBody), blocks)
	defer server.Stop()
	go func() { _ = server.Serve(listener) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds*float64(time.Second)))
	defer cancel()
	request := pool.NewMessage(ctx)
	path, query, _ := strings.Cut(href, "?")
	token, err := message.GetToken()
	if err != nil {
		return err
	}
	if err := request.SetupGet(path, token); err != nil {
		return err
	}
	for _, q := range strings.FieldsFunc(query, func(c rune) bool { return c == '&' }) {
		request.AddQuery(q)
	}
	request.SetAccept(message.AppOcfCbor)
	request.SetMessageID(message.GetMID())
	request.SetType(message.NonConfirmable)
	time.Sleep(50 * time.Millisecond) // Serve() first has to be there
	var lock sync.Mutex
	return server.DiscoveryRequest(request, groups[family], func(from *client.Conn, answer *pool.Message) {
		body, err := decoded(answer)
		lock.Lock()
		defer lock.Unlock()
		if err != nil || answer.Code() != codes.Content {
			say(map[string]any{"bad answer": fmt.Sprint(err), "from": from.RemoteAddr().String(), "code": code(answer.Code())})
		} else if receive(found{from: hostOf(from.RemoteAddr()), body: body}) {
			cancel()
		}
	})
}

// discover says each device whose /oic/sec/doxm answers.
func discover(family, owned string, seconds float64) error {
	href := "/oic/sec/doxm"
	if owned != "any" {
		href += "?Owned=" + strings.ToUpper(owned)
	}
	seen := map[string]bool{}
	return ask(family, href, seconds, func(f found) bool {
		doxm, isMap := f.body.(map[string]any)
		id, _ := doxm["deviceuuid"].(string)
		if isMap && !seen[id] {
			seen[id] = true
			say(map[string]any{"device": id, "from": f.from, "doxm": plain(doxm)})
		}
		return false
	})
}

type link struct {
	href  string
	types []string
	ends  []string // URIs, the preferred ones first
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, e := range list {
		if s, isText := e.(string); isText {
			out = append(out, s)
		}
	}
	return out
}

// linksOf reads the list form of /oic/res: the links of one device.
func linksOf(body any, device string) []link {
	var out []link
	list, _ := body.([]any)
	for _, e := range list {
		l, _ := e.(map[string]any)
		anchor, _ := l["anchor"].(string)
		id, _ := l["di"].(string)
		if anchor != "ocf://"+device && id != device {
			continue
		}
		one := link{types: texts(l["rt"])}
		one.href, _ = l["href"].(string)
		ends, _ := l["eps"].([]any)
		sort.SliceStable(ends, func(i, j int) bool { return priority(ends[i]) < priority(ends[j]) })
		for _, end := range ends {
			m, _ := end.(map[string]any)
			if uri, isText := m["ep"].(string); isText {
				one.ends = append(one.ends, uri)
			}
		}
		out = append(out, one)
	}
	return out
}

func priority(end any) int64 {
	m, _ := end.(map[string]any)
	n, _ := m["pri"].(int64)
	return n
}

// overIPv6 says by which family a device is used that was found.
var overIPv6 bool

func (l link) end(scheme string) string {
	for _, uri := range l.ends {
		host := strings.TrimPrefix(uri, scheme+"://")
		if host != uri && strings.HasPrefix(host, "[") == overIPv6 && !strings.HasPrefix(host, "[fe80") {
			return uri
		}
	}
	return ""
}

// find asks for the device by multicast and then for all its links where it is served in clear.
func find(family, device string, seconds float64) ([]link, error) {
	var about []link
	if err := ask(family, "/oic/res?rt=oic.wk.d&di="+device, seconds, func(f found) bool {
		about = linksOf(f.body, device)
		return len(about) > 0
	}); err != nil {
		return nil, err
	}
	if len(about) == 0 {
		return nil, fmt.Errorf("%s does not answer", device)
	}
	say(map[string]any{"found": about[0].href, "ends": about[0].ends})
	if about[0].href != "/oic/d" || about[0].end("coap") == "" {
		return nil, errors.New("no /oic/d in clear")
	}
	s, err := open(about[0].end("coap"), nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	c, body, err := s.do(codes.GET, "/oic/res?di="+device, nil)
	if err != nil {
		return nil, err
	}
	links := linksOf(body, device)
	if c != codes.Content || len(links) == 0 {
		return nil, fmt.Errorf("/oic/res: %s, %d links", code(c), len(links))
	}
	return links, nil
}

func named(links []link, href string) (link, error) {
	for _, l := range links {
		if l.href == href {
			return l, nil
		}
	}
	return link{}, fmt.Errorf("no link to %s", href)
}

// firstEnd is where the first link that is served by this scheme at all is served.
func firstEnd(links []link, scheme string) string {
	for _, l := range links {
		if uri := l.end(scheme); uri != "" {
			return uri
		}
	}
	return ""
}
