package main

// One association with a device, plain or secured, and what is asked over it.

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/pion/dtls/v2"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/mux"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/tcp"
	"github.com/plgd-dev/go-coap/v3/udp"

	coapDTLS "github.com/plgd-dev/go-coap/v3/dtls"
)

const (
	maxBody = 1 << 20
	patient = 10 * time.Second
)

var (
	blocks = options.WithBlockwise(true, blockwise.SZX1024, time.Minute)
	output = json.NewEncoder(os.Stdout)
)

type session struct {
	mux.Conn
	how string // none, anonymous, psk, certificate
}

func must(err error) {
	if err != nil {
		say(map[string]any{"error": err.Error()})
		os.Exit(1)
	}
}

// say prints one line.
func say(what map[string]any) {
	if err := output.Encode(what); err != nil {
		os.Exit(3)
	}
}

func code(c codes.Code) string {
	return fmt.Sprintf("%d.%02d", c>>5, c&31)
}

// credentials is what a session is opened with: none, a key, or a certificate.
type credentials struct {
	anonymous *anonymous
	identity  []byte
	key       []byte
	chain     *tls.Certificate
	roots     *x509.CertPool
	peer      string // the UUID that the other side's certificate has to name; "" for any
}

func (c *credentials) String() string {
	switch {
	case c == nil:
		return "none"
	case c.anonymous != nil:
		return "anonymous"
	case c.key != nil:
		return "psk"
	}
	return "certificate"
}

func (c *credentials) check(raw [][]byte, _ [][]*x509.Certificate) error {
	chain, err := parseChain(raw)
	if err != nil {
		return err
	}
	return verify(chain, c.roots, c.peer)
}

func (c *credentials) dtls() *dtls.Config {
	config := &dtls.Config{
		ConnectContextMaker: func() (context.Context, func()) { return context.WithTimeout(context.Background(), patient) },
	}
	if path := os.Getenv("SSLKEYLOGFILE"); path != "" {
		if file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
			config.KeyLogWriter = file
		}
	}
	switch c.String() {
	case "anonymous":
		config.CustomCipherSuites = func() []dtls.CipherSuite { return []dtls.CipherSuite{c.anonymous} }
		config.CipherSuites = []dtls.CipherSuiteID{}
	case "psk":
		config.PSK = func([]byte) ([]byte, error) { return c.key, nil }
		config.PSKIdentityHint = c.identity
		config.CipherSuites = []dtls.CipherSuiteID{dtls.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256}
	case "certificate":
		config.InsecureSkipVerify = true // of names and usages: check() knows OCF's
		config.VerifyPeerCertificate = c.check
		config.CipherSuites = []dtls.CipherSuiteID{dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM}
		config.Certificates = []tls.Certificate{*c.chain}
	}
	return config
}

func (c *credentials) tls() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify:    true,
		VerifyPeerCertificate: c.check,
		Certificates:          []tls.Certificate{*c.chain},
		MaxVersion:            tls.VersionTLS12,
	}
}

// open dials scheme://host:port.
func open(uri string, with *credentials) (*session, error) {
	scheme, address, _ := strings.Cut(uri, "://")
	var conn mux.Conn
	var err error
	switch {
	case scheme == "coap":
		conn, err = udp.Dial(address, options.WithMaxMessageSize(maxBody), blocks)
	case scheme == "coap+tcp":
		conn, err = tcp.Dial(address, options.WithMaxMessageSize(maxBody), blocks)
	case scheme == "coaps" && with != nil:
		conn, err = coapDTLS.Dial(address, with.dtls(), options.WithMaxMessageSize(maxBody), blocks)
	case scheme == "coaps+tcp" && with != nil && with.chain != nil:
		conn, err = tcp.Dial(address, options.WithTLS(with.tls()), options.WithMaxMessageSize(maxBody), blocks)
	default:
		return nil, fmt.Errorf("%s cannot be had with %v", uri, with)
	}
	if err != nil {
		return nil, fmt.Errorf("%s with %v: %w", uri, with, err)
	}
	return &session{Conn: conn, how: with.String()}, nil
}

// do asks and says how it ended. A body is nil where none was sent.
func (s *session) do(method codes.Code, href string, payload any) (codes.Code, any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	path, query, _ := strings.Cut(href, "?")
	request, err := s.NewGetRequest(ctx, path)
	if err != nil {
		return 0, nil, err
	}
	request.SetCode(method)
	for _, q := range strings.FieldsFunc(query, func(c rune) bool { return c == '&' }) {
		request.AddQuery(q)
	}
	request.SetAccept(message.AppOcfCbor)
	if method == codes.POST {
		request.SetContentFormat(message.AppOcfCbor)
		request.SetBody(bytes.NewReader(encode(payload)))
	}
	began := time.Now()
	answer, err := s.Do(request)
	if err != nil {
		say(map[string]any{"step": method.String() + " " + href, "over": s.how, "failed": err.Error()})
		return 0, nil, fmt.Errorf("%v %s: %w", method, href, err)
	}
	body, err := decoded(answer)
	say(map[string]any{"step": method.String() + " " + href, "over": s.how, "code": code(answer.Code()), "us": time.Since(began).Microseconds()})
	return answer.Code(), body, err
}

func decoded(m *pool.Message) (any, error) {
	raw, err := m.ReadBody()
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	format, err := m.ContentFormat()
	if err != nil && m.Code() >= codes.BadRequest {
		return string(raw), nil // a sentence for people
	}
	if err != nil {
		return nil, errors.New("a body without its Content-Format")
	}
	if format != message.AppOcfCbor && format != message.AppCBOR {
		return nil, fmt.Errorf("a body of format %d", format)
	}
	return decode(raw)
}

func (s *session) get(href string) (map[string]any, error) {
	c, body, err := s.do(codes.GET, href, nil)
	if err != nil {
		return nil, err
	}
	m, isMap := body.(map[string]any)
	if c != codes.Content || !isMap {
		return nil, fmt.Errorf("GET %s: %s with %T", href, code(c), body)
	}
	return m, nil
}

func (s *session) post(href string, payload any) error {
	c, _, err := s.do(codes.POST, href, payload)
	if err == nil && c != codes.Changed && c != codes.Created && c != codes.Valid {
		err = fmt.Errorf("POST %s: %s", href, code(c))
	}
	return err
}

func (s *session) remove(href string) error {
	c, _, err := s.do(codes.DELETE, href, nil)
	if err == nil && c != codes.Deleted {
		err = fmt.Errorf("DELETE %s: %s", href, code(c))
	}
	return err
}

// observe says each representation until there were so many, and cancels.
func (s *session) observe(href string, wanted int, seconds float64) error {
	came := make(chan error, 1000)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds*float64(time.Second)))
	defer cancel()
	o, err := s.Observe(ctx, href, func(m *pool.Message) {
		body, err := decoded(m)
		if err == nil && m.Code() != codes.Content {
			err = fmt.Errorf("notified with %s", code(m.Code()))
		}
		if err == nil {
			number, _ := m.Observe()
			say(map[string]any{"observed": plain(body), "number": number})
		}
		came <- err
	}, message.Option{ID: message.Accept, Value: []byte{0x27, 0x10}})
	if err != nil {
		return fmt.Errorf("observing %s: %w", href, err)
	}
	for i := 0; i < wanted; i++ {
		select {
		case err := <-came:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d representations came", i, wanted)
		case <-s.Done():
			return errors.New("the session ended")
		}
	}
	late, stop := context.WithTimeout(context.Background(), patient)
	defer stop()
	return o.Cancel(late)
}

// hostOf is the address of an association's other side, without the port, as it stands in a URI.
func hostOf(address net.Addr) string {
	host, _, err := net.SplitHostPort(address.String())
	must(err)
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
