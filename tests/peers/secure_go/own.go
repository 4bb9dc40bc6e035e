package main

// Taking a device over, in the order in which the plgd client is known to do it, and giving it back.
//
// This is not that client: the steps are walked by a program of ours on the libraries beneath it.

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

const (
	stateReset, stateTransfer, stateProvision, stateNormal = 0, 1, 2, 3
	clientDirected                                         = 4
	selectJustWorks, selectPIN, selectManufacturer         = 0, 1, 2
	symmetric, certificate                                 = 1, 8
)

type object = map[string]any
type list = []any

func goTo(s *session, state int) error {
	return s.post("/oic/sec/pstat", object{"dos": object{"s": state}})
}

func has(values any, wanted int64) bool {
	items, _ := values.([]any)
	for _, v := range items {
		if v == wanted {
			return true
		}
	}
	return false
}

// readyForTransfer is what pstat has to say before anything is changed.
func readyForTransfer(s *session) error {
	pstat, err := s.get("/oic/sec/pstat")
	if err != nil {
		return err
	}
	dos, _ := pstat["dos"].(map[string]any)
	modes, _ := pstat["sm"].(int64)
	if dos["p"] != false || dos["s"] != int64(stateTransfer) || modes&clientDirected == 0 {
		return fmt.Errorf("pstat is not ready: %v", plain(pstat))
	}
	return nil
}

// credentialsFor makes the owner's key, and the identity out of the device's own request for one.
func (t *tool) credentialsFor(s *session, device string) ([]byte, error) {
	csr, err := s.get("/oic/sec/csr")
	if err != nil {
		return nil, err
	}
	text, isText := csr["csr"].(string)
	if !isText || csr["encoding"] != "oic.sec.encoding.pem" {
		return nil, errors.New("csr: not text in PEM")
	}
	public, err := checkedRequest(text, device)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	pemEncoded := func(der []byte) object {
		return object{"data": pemOf("CERTIFICATE", der), "encoding": "oic.sec.encoding.pem"}
	}
	return key, s.post("/oic/sec/cred", object{"rowneruuid": t.Owner, "creds": list{
		object{"subjectuuid": t.Owner, "credtype": symmetric, "privatedata": object{"data": textBytes(key), "encoding": "oic.sec.encoding.raw"}},
		object{"subjectuuid": device, "credtype": certificate, "credusage": "oic.sec.cred.cert", "publicdata": pemEncoded(t.issue(device, public))},
		object{"subjectuuid": t.Owner, "credtype": certificate, "credusage": "oic.sec.cred.trustca", "publicdata": pemEncoded(t.Authority)},
	}})
}

// transfer is what happens on the first secured session, up to RFPRO.
func (t *tool) transfer(s *session, device string) ([]byte, error) {
	if err := readyForTransfer(s); err != nil {
		return nil, err
	}
	if err := s.post("/oic/sec/pstat", object{"om": clientDirected}); err != nil {
		return nil, err
	}
	if err := s.post("/oic/sec/doxm", object{"deviceuuid": device}); err != nil {
		return nil, err
	}
	key, err := t.credentialsFor(s, device)
	if err != nil {
		return nil, err
	}
	if err := s.post("/oic/sec/doxm", object{"devowneruuid": t.Owner}); err != nil {
		return nil, err
	}
	doxm, err := s.get("/oic/sec/doxm")
	if err != nil {
		return nil, err
	}
	if doxm["devowneruuid"] != t.Owner {
		return nil, fmt.Errorf("the owner is %v", doxm["devowneruuid"])
	}
	if err := posts(s, []update{
		{"/oic/sec/pstat", object{"rowneruuid": t.Owner}},
		{"/oic/sec/acl2", object{"rowneruuid": t.Owner, "aclist2": nil}},
		{"/oic/sec/doxm", object{"rowneruuid": t.Owner, "owned": true}},
	}); err != nil {
		return nil, err
	}
	return key, goTo(s, stateProvision)
}

func hrefs(names ...string) list {
	out := list{}
	for _, name := range names {
		out = append(out, object{"href": name, "if": list{"*"}})
	}
	return out
}

// entries is the access list that an owner begins with.
func (t *tool) entries(links []link) list {
	own := list{object{"wc": "*"}}
	for _, l := range links {
		for _, kind := range l.types {
			if kind == "oic.r.coapcloudconf" || kind == "oic.wk.mnt" || kind == "oic.r.softwareupdate" {
				own = append(own, hrefs(l.href)...)
			}
		}
	}
	owner, everybody := object{"uuid": t.Owner}, object{"conntype": "anon-clear"}
	return list{
		object{"permission": 31, "subject": owner, "resources": own},
		object{"permission": 14, "subject": owner, "resources": hrefs("/oic/sec/sp", "/oic/sec/pstat", "/oic/sec/doxm")},
		object{"permission": 2, "subject": owner, "resources": hrefs("/oic/sec/csr")},
		object{"permission": 2, "subject": everybody, "resources": hrefs("/oic/d", "/oic/p", "/oic/res", "/oic/sec/sdi", "/oic/sec/doxm")},
	}
}

// provision is done on a second session, with the new key, while the first one is still open.
func (t *tool) provision(uri string, key []byte, links []link) error {
	s, err := open(uri, &credentials{identity: bytesOf(t.Owner), key: key})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.remove("/oic/sec/acl2"); err != nil {
		return err
	}
	if err := s.post("/oic/sec/acl2", object{"aclist2": t.entries(links)}); err != nil {
		return err
	}
	return goTo(s, stateNormal)
}

// selectMethod is done in clear, where /oic/d is served.
func selectMethod(links []link, method int) error {
	about, err := named(links, "/oic/d")
	if err != nil {
		return err
	}
	s, err := open(about.end("coap"), nil)
	if err != nil {
		return err
	}
	defer s.Close()
	doxm, err := s.get("/oic/sec/doxm?if=oic.if.baseline")
	if err != nil {
		return err
	}
	if doxm["owned"] != false || !has(doxm["oxms"], int64(method)) {
		return fmt.Errorf("doxm does not offer method %d: %v", method, plain(doxm))
	}
	return s.post("/oic/sec/doxm", object{"oxmsel": method})
}

// own: with gives what the first session is opened with, once the method was chosen; scheme is coaps or coaps+tcp.
func (t *tool) own(links []link, device string, method int, with func() *credentials, scheme string) error {
	for _, href := range []string{"/oic/sec/doxm", "/oic/sec/acl2"} {
		if _, err := named(links, href); err != nil {
			return err
		}
	}
	if err := selectMethod(links, method); err != nil {
		return err
	}
	kept := known{Secured: firstEnd(links, "coaps"), SecuredTCP: firstEnd(links, "coaps+tcp")}
	s, err := open(firstEnd(links, scheme), with())
	if err != nil {
		return err
	}
	defer s.Close()
	key, err := t.transfer(s, device)
	if err == nil {
		err = t.provision(kept.Secured, key, links)
	}
	if err != nil {
		_ = goTo(s, stateReset)
		return err
	}
	kept.Key = key
	t.Devices[device] = kept
	return nil
}

type update struct {
	href string
	body object
}

func posts(s *session, updates []update) error {
	for _, u := range updates {
		if err := s.post(u.href, u.body); err != nil {
			return err
		}
	}
	return nil
}

// derive takes it over in the other order that is in use, the one of the reference's tool: all on one session.
func (t *tool) derive(links []link, device string) (string, error) {
	if err := selectMethod(links, selectJustWorks); err != nil {
		return "", err
	}
	suite, name := &anonymous{}, newUUID()
	kept := known{Secured: firstEnd(links, "coaps"), SecuredTCP: firstEnd(links, "coaps+tcp")}
	s, err := open(kept.Secured, &credentials{anonymous: suite})
	if err != nil {
		return "", err
	}
	defer s.Close()
	empty := object{"data": []byte{}, "encoding": "oic.sec.encoding.raw"}
	owner, everybody := object{"uuid": t.Owner}, object{"conntype": "anon-clear"}
	err = posts(s, []update{
		{"/oic/sec/pstat", object{"om": clientDirected}},
		{"/oic/sec/doxm", object{"devowneruuid": t.Owner}},
		{"/oic/sec/doxm", object{"deviceuuid": name}},
		{"/oic/sec/doxm", object{"rowneruuid": t.Owner}},
		{"/oic/sec/acl2", object{"rowneruuid": t.Owner}},
		{"/oic/sec/pstat", object{"rowneruuid": t.Owner}},
		{"/oic/sec/cred", object{"creds": list{object{"credtype": symmetric, "subjectuuid": t.Owner, "privatedata": empty}}, "rowneruuid": t.Owner}},
		{"/oic/sec/sdi", object{"uuid": newUUID(), "name": "Test", "priv": false}},
		{"/oic/sec/doxm", object{"owned": true}},
		{"/oic/sec/pstat", object{"dos": object{"s": stateProvision}}},
	})
	if err == nil {
		err = s.remove("/oic/sec/acl2")
	}
	if err == nil {
		err = posts(s, []update{
			{"/oic/sec/acl2", object{"aclist2": list{
				object{"subject": owner, "resources": hrefs("/oic/sec/sp"), "permission": 14},
				object{"subject": owner, "resources": hrefs("/oic/sec/csr"), "permission": 2},
				object{"subject": everybody, "resources": hrefs("/oic/d", "/oic/p", "/oic/res", "/oic/sec/sdi"), "permission": 2},
			}}},
			{"/oic/sec/pstat", object{"dos": object{"s": stateNormal}}},
		})
	}
	if err == nil {
		kept.Key, err = suite.ownerKey("oic.sec.doxm.jw", bytesOf(t.Owner), bytesOf(name))
	}
	t.Devices[name] = kept
	return name, err
}

// pinCredentials waits for the PIN in a file, where whoever stands before the device would read it.
func pinCredentials(file, device string) *credentials {
	for i := 0; i < 500; i++ {
		text, err := os.ReadFile(file)
		if pin := strings.TrimSpace(string(text)); err == nil && pin != "" {
			return &credentials{identity: []byte("oic.sec.doxm.rdp"), key: pinKey(pin, bytesOf(device))}
		}
		time.Sleep(20 * time.Millisecond)
	}
	must(errors.New("no PIN is shown"))
	return nil
}

// pinKey is PBKDF2 (RFC 8018) with HMAC-SHA256, 1000 turns, one block of which 16 bytes are used.
func pinKey(pin string, device []byte) []byte {
	h := hmac.New(sha256.New, []byte(pin))
	h.Write(append(copied(device), 0, 0, 0, 1))
	turn := h.Sum(nil)
	sum := copied(turn)
	for i := 1; i < 1000; i++ {
		h.Reset()
		h.Write(turn)
		turn = h.Sum(nil)
		for k := range sum {
			sum[k] ^= turn[k]
		}
	}
	return sum[:16]
}

// disown: a session that ends before the answer comes is as good as one.
func disown(s *session) error {
	c, _, err := s.do(codes.POST, "/oic/sec/pstat", object{"dos": object{"s": stateReset}})
	if err != nil && s.Context().Err() != nil {
		return nil
	}
	if err == nil && c != codes.Changed {
		err = fmt.Errorf("disown: %s", code(c))
	}
	return err
}
