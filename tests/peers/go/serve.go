package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	"github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/tcp"
	"github.com/plgd-dev/go-coap/v3/udp"
)

type server struct {
	lock      sync.Mutex
	store     map[string][]byte
	observers map[string]mux.Conn
	tick      int
	pattern   []byte
}

func answer(w mux.ResponseWriter, code codes.Code, body []byte) {
	if body == nil {
		_ = w.SetResponse(code, message.TextPlain, nil)
		return
	}
	_ = w.SetResponse(code, message.TextPlain, bytes.NewReader(body))
}

func (s *server) ticking() {
	for {
		time.Sleep(200 * time.Millisecond)
		s.lock.Lock()
		s.tick++
		tick, to := s.tick, map[string]mux.Conn{}
		for token, c := range s.observers {
			to[token] = c
		}
		s.lock.Unlock()
		for token, c := range to {
			if s.notify(c, token, tick) != nil {
				s.lock.Lock()
				delete(s.observers, token)
				s.lock.Unlock()
			}
		}
	}
}

func (s *server) notify(c mux.Conn, token string, tick int) error {
	m := c.AcquireMessage(c.Context())
	defer c.ReleaseMessage(m)
	m.SetCode(codes.Content)
	m.SetToken([]byte(token))
	m.SetContentFormat(message.TextPlain)
	m.SetObserve(uint32(tick))
	m.SetBody(strings.NewReader(fmt.Sprint(tick)))
	return c.WriteMessage(m)
}

func (s *server) getTick(w mux.ResponseWriter, r *mux.Message) {
	observe, err := r.Options().Observe()
	s.lock.Lock()
	tick, token := s.tick, string(r.Token())
	if err == nil && observe == 0 {
		s.observers[token] = w.Conn()
	} else if err == nil {
		delete(s.observers, token)
	}
	s.lock.Unlock()
	if err == nil && observe == 0 {
		_ = s.notify(w.Conn(), token, tick)
		return
	}
	answer(w, codes.Content, []byte(fmt.Sprint(tick)))
}

func (s *server) inStore(w mux.ResponseWriter, r *mux.Message, path string) {
	body, _ := r.ReadBody()
	s.lock.Lock()
	defer s.lock.Unlock()
	old, exists := s.store[path]
	done := codes.Code(codes.Created)
	if exists {
		done = codes.Changed
	}
	switch {
	case r.Code() == codes.PUT:
		s.store[path] = body
		answer(w, done, nil)
	case r.Code() == codes.POST:
		s.store[path] = append(append([]byte{}, old...), body...)
		answer(w, done, nil)
	case r.Code() == codes.DELETE:
		delete(s.store, path)
		answer(w, codes.Deleted, nil)
	case !exists:
		answer(w, codes.NotFound, nil)
	default:
		answer(w, codes.Content, old)
	}
}

func (s *server) ServeCOAP(w mux.ResponseWriter, r *mux.Message) {
	path, _ := r.Options().Path()
	switch {
	case path == "/hello":
		answer(w, codes.Content, []byte("hello, peer"))
	case path == "/big":
		answer(w, codes.Content, s.pattern)
	case path == "/echo":
		body, _ := r.ReadBody()
		answer(w, codes.Changed, body)
	case path == "/slow":
		time.Sleep(time.Second)
		answer(w, codes.Content, []byte("at last"))
	case path == "/tick":
		s.getTick(w, r)
	case strings.HasPrefix(path, "/store/"):
		s.inStore(w, r, path)
	default:
		answer(w, codes.NotFound, nil)
	}
}

func serve(port string) {
	s := &server{store: map[string][]byte{}, observers: map[string]mux.Conn{}, pattern: make([]byte, 1<<20)}
	for i := 0; i < len(s.pattern); i += 4 {
		binary.BigEndian.PutUint32(s.pattern[i:], uint32(i/4))
	}
	t, err := net.NewTCPListener("tcp", ":"+port)
	must(err)
	go s.ticking()
	go func() {
		must(tcp.NewServer(options.WithMux(s), options.WithMaxMessageSize(maxBody), patient).Serve(t))
	}()
	// One socket for both families would not do: on such a one its answers over IPv4 never leave.
	listeners := []*net.UDPConn{}
	for _, network := range []string{"udp4", "udp6"} {
		l, err := net.NewListenUDP(network, ":"+port)
		must(err)
		listeners = append(listeners, l)
	}
	go func() {
		must(udp.NewServer(options.WithMux(s), options.WithMaxMessageSize(maxBody), patient).Serve(listeners[0]))
	}()
	fmt.Println("ready on port", port)
	must(udp.NewServer(options.WithMux(s), options.WithMaxMessageSize(maxBody), patient).Serve(listeners[1]))
}
