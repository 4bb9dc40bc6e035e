// An onboarding tool for the tests: it owns, provisions, uses and gives back OCF devices, with go-coap and pion's DTLS.
//
//	secure_go [-state FILE] [-family IPv4] [-seconds N] [-scheme coaps] [-with psk] VERB ARGUMENTS
//
//	discover true|false|any            devices, by their doxm
//	own DEVICE [PIN | CHAIN KEY ROOTS] by Just Works; by a PIN, which comes into that file; with files in PEM by
//	                                   manufacturer certificate
//	derive DEVICE                      by Just Works, and the owner's key comes out of the session; says its new name
//	get DEVICE HREF                    post DEVICE HREF JSON       delete DEVICE HREF
//	observe DEVICE HREF N              until N representations came
//	psk DEVICE SUBJECT KEY             gives a peer a key (hex)
//	ace DEVICE SUBJECT PERMISSION HREF...   SUBJECT: a UUID, anon-clear or auth-crypt; HREF: or a wildcard
//	                                   (or role:NAME[@AUTHORITY])
//	role DEVICE NAME[@AUTHORITY] FORGERY HREF JSON   posts to HREF before it shows a role certificate, with it, and after it
//	                                   was taken back; FORGERY: -, or what is wrong with it: authority, key, name, usage
//	trust DEVICE SUBJECT               our root as an anchor for that peer, or for * (any)
//	ask URI IDENTITY KEY HREF          of a server that is not ours, with a key (hex); KEY -: anonymously
//	identity [FOLDER]                  what this tool is called; its chain, key and root as files there
//	factory FOLDER                     makes a manufacturer's root, and chains and keys for a device and a tool
//	disown DEVICE
//
// It prints a JSON object for each step and for what came of it; the last one of a run that failed has "error", and the
// status is 1. What it knows, keys included, is kept in FILE.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

type known struct {
	Key        []byte
	Secured    string
	SecuredTCP string
}

type tool struct {
	file         string
	Owner        string
	Authority    []byte
	AuthorityKey []byte
	Key          []byte // of its own identity certificate
	Devices      map[string]known
}

func newUUID() string {
	b := make([]byte, 16)
	_, err := rand.Read(b)
	must(err)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// bytesOf reads hex, or a UUID.
func bytesOf(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	must(err)
	return b
}

func load(file string) *tool {
	t := &tool{file: file, Devices: map[string]known{}}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		t.Owner = newUUID()
		t.AuthorityKey, t.Authority = newAuthority()
		t.Key, err = x509.MarshalECPrivateKey(newKey())
		must(err)
		t.save()
		return t
	}
	must(err)
	must(json.Unmarshal(text, t))
	return t
}

func (t *tool) save() {
	text, err := json.Marshal(t)
	must(err)
	must(os.WriteFile(t.file, text, 0o600))
}

func (t *tool) identity(peer string) *credentials {
	key, err := x509.ParseECPrivateKey(t.Key)
	must(err)
	root, err := x509.ParseCertificate(t.Authority)
	must(err)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	chain := [][]byte{t.issue(t.Owner, key.Public().(*ecdsa.PublicKey)), t.Authority}
	return &credentials{chain: &tls.Certificate{Certificate: chain, PrivateKey: key}, roots: roots, peer: peer}
}

// export writes what another program needs to be this tool: chain.pem, key.pem, root.pem.
func (t *tool) export(folder string) {
	as := t.identity("")
	files := map[string]string{
		"chain.pem": pemOf("CERTIFICATE", as.chain.Certificate[0]) + pemOf("CERTIFICATE", t.Authority),
		"key.pem":   pemOf("EC PRIVATE KEY", t.Key),
		"root.pem":  pemOf("CERTIFICATE", t.Authority),
	}
	for name, text := range files {
		must(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
}

// to opens a session with a device that is ours.
func (t *tool) to(device, scheme, with string) *session {
	d, isOurs := t.Devices[device]
	if !isOurs {
		must(fmt.Errorf("%s is not ours", device))
	}
	uri := map[string]string{"coaps": d.Secured, "coaps+tcp": d.SecuredTCP}[scheme]
	as := map[string]*credentials{"psk": {identity: bytesOf(t.Owner), key: d.Key}, "certificate": nil}[with]
	if with == "certificate" {
		as = t.identity(device)
	}
	s, err := open(uri, as)
	must(err)
	return s
}

// change does something while the device is in RFPRO.
func change(s *session, href string, body object) error {
	if err := goTo(s, stateProvision); err != nil {
		return err
	}
	if err := s.post(href, body); err != nil {
		return err
	}
	return goTo(s, stateNormal)
}

func entry(subject, permission string, resources []string) (object, error) {
	bits, err := strconv.Atoi(permission)
	who := object{"uuid": subject}
	if strings.HasPrefix(subject, "role:") {
		who = roleOf(strings.TrimPrefix(subject, "role:"))
	}
	if subject == "anon-clear" || subject == "auth-crypt" {
		who = object{"conntype": subject}
	}
	what := list{}
	for _, r := range resources {
		kind := "wc"
		if strings.HasPrefix(r, "/") {
			kind = "href"
		}
		what = append(what, object{kind: r})
	}
	return object{"aclist2": list{object{"subject": who, "permission": bits, "resources": what}}}, err
}

// roleOf reads NAME[@AUTHORITY].
func roleOf(text string) object {
	name, authority, has := strings.Cut(text, "@")
	if !has {
		return object{"role": name}
	}
	return object{"role": name, "authority": authority}
}

// role asks the same three times: without the role, with it, and without it again.
func (t *tool) role(s *session, text, forgery, href, body string) error {
	key, err := x509.ParseECPrivateKey(t.Key)
	must(err)
	name, authority, _ := strings.Cut(text, "@")
	shown := t.issueRole(name, authority, strings.Trim(forgery, "-"), key.Public().(*ecdsa.PublicKey))
	ask := func(method codes.Code, href string, payload any) error {
		c, answer, err := s.do(method, href, payload)
		say(map[string]any{"answer": code(c), "body": plain(answer)})
		return err
	}
	role := object{"credtype": certificate, "credusage": "oic.sec.cred.rolecert", "roleid": roleOf(text),
		"publicdata": object{"data": shown, "encoding": "oic.sec.encoding.pem"}}
	for _, step := range []func() error{
		func() error { return ask(codes.POST, href, fromJSON(body)) },
		func() error { return ask(codes.POST, "/oic/sec/roles", object{"roles": list{role}}) },
		func() error { return ask(codes.GET, "/oic/sec/roles", nil) },
		func() error { return ask(codes.POST, href, fromJSON(body)) },
		func() error { return ask(codes.DELETE, "/oic/sec/roles", nil) },
		func() error { return ask(codes.POST, href, fromJSON(body)) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func fromJSON(text string) any {
	reader := json.NewDecoder(strings.NewReader(text))
	reader.UseNumber()
	var v any
	must(reader.Decode(&v))
	return v
}

func (t *tool) use(s *session, verb string, args []string, seconds float64) error {
	defer s.Close()
	switch verb {
	case "get":
		c, body, err := s.do(codes.GET, args[0], nil)
		say(map[string]any{"answer": code(c), "body": plain(body)})
		return err
	case "post":
		c, body, err := s.do(codes.POST, args[0], fromJSON(args[1]))
		say(map[string]any{"answer": code(c), "body": plain(body)})
		return err
	case "delete":
		return s.remove(args[0])
	case "observe":
		n, err := strconv.Atoi(args[1])
		must(err)
		return s.observe(args[0], n, seconds)
	case "psk":
		private := object{"data": bytesOf(args[1]), "encoding": "oic.sec.encoding.raw"}
		return change(s, "/oic/sec/cred", object{"creds": list{object{"subjectuuid": args[0], "credtype": symmetric, "privatedata": private}}})
	case "ace":
		body, err := entry(args[0], args[1], args[2:])
		must(err)
		return change(s, "/oic/sec/acl2", body)
	case "role":
		return t.role(s, args[0], args[1], args[2], args[3])
	case "trust":
		root := object{"data": pemOf("CERTIFICATE", t.Authority), "encoding": "oic.sec.encoding.pem"}
		return change(s, "/oic/sec/cred", object{"creds": list{object{"subjectuuid": args[0], "credtype": certificate, "credusage": "oic.sec.cred.trustca", "publicdata": root}}})
	case "disown":
		return disown(s)
	}
	return errors.New("no such verb: " + verb)
}

func main() {
	state := flag.String("state", "secure_go.json", "")
	family := flag.String("family", "IPv4", "")
	seconds := flag.Float64("seconds", 3, "")
	scheme := flag.String("scheme", "coaps", "")
	with := flag.String("with", "psk", "")
	flag.Parse()
	overIPv6 = *family == "IPv6"
	args := flag.Args()
	if len(args) == 0 {
		must(errors.New("no verb"))
	}
	t := load(*state)
	switch verb := args[0]; verb {
	case "identity":
		if len(args) > 1 {
			t.export(args[1])
		}
		say(map[string]any{"owner": t.Owner})
	case "factory":
		factory(args[1])
	case "ask":
		with := &credentials{anonymous: &anonymous{}}
		if args[3] != "-" {
			with = &credentials{identity: bytesOf(args[2]), key: bytesOf(args[3])}
		}
		s, err := open(args[1], with)
		must(err)
		m, err := s.Get(context.Background(), args[4])
		must(err)
		body, err := m.ReadBody()
		must(err)
		say(map[string]any{"code": code(m.Code()), "payload": hex.EncodeToString(body)})
		s.Close()
	case "discover":
		must(discover(*family, args[1], *seconds))
	case "derive":
		links, err := find(*family, args[1], *seconds)
		must(err)
		device, err := t.derive(links, args[1])
		must(err)
		t.save()
		say(map[string]any{"owned": device, "owner": t.Owner})
	case "own":
		links, err := find(*family, args[1], *seconds)
		must(err)
		method, by := selectJustWorks, func() *credentials { return &credentials{anonymous: &anonymous{}} }
		if len(args) == 5 {
			method, by = selectManufacturer, func() *credentials { return manufacturer(args[2], args[3], args[4]) }
		} else if len(args) == 3 {
			method, by = selectPIN, func() *credentials { return pinCredentials(args[2], args[1]) }
		}
		must(t.own(links, args[1], method, by, *scheme))
		t.save()
		say(map[string]any{"owned": args[1], "owner": t.Owner})
	default:
		must(t.use(t.to(args[1], *scheme, *with), verb, args[2:], *seconds))
		if verb == "disown" {
			delete(t.Devices, args[1])
			t.save()
			say(map[string]any{"disowned": args[1]})
		}
	}
}
