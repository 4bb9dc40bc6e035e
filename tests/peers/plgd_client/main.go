// The client of plgd's device library, as an application uses it, with its own onboarding: it shows that a stranger's
// tool takes our device, uses it and gives it back. One command a line comes in, one line of JSON goes out; what is
// observed comes out in between.
package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/device/v2/client"
	"github.com/plgd-dev/device/v2/client/core"
	"github.com/plgd-dev/device/v2/pkg/net/coap"
	"github.com/plgd-dev/device/v2/pkg/security/signer"
)

const owner = "0c5fd000-0000-4000-8000-000000000001"

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var output sync.Mutex

func say(line map[string]any) {
	output.Lock()
	defer output.Unlock()
	text, err := json.Marshal(line)
	must(err)
	fmt.Println(string(text))
}

// authorities is what the library asks its application for: whom it trusts, and who it is to a manufacturer's device.
type authorities struct {
	own, manufacturer []*x509.Certificate
	tool              tls.Certificate
}

func (a authorities) GetRootCertificateAuthorities() ([]*x509.Certificate, error) {
	return a.own, nil
}

func (a authorities) GetManufacturerCertificateAuthorities() ([]*x509.Certificate, error) {
	return a.manufacturer, nil
}

func (a authorities) GetManufacturerCertificate() (tls.Certificate, error) {
	return a.tool, nil
}

// newAuthority makes the owner's: certificate and key, both PEM.
func newAuthority() ([]byte, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	root := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "Test owner"},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	must(err)
	raw, err := x509.MarshalECPrivateKey(key)
	must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

func parse(text []byte) []*x509.Certificate {
	block, _ := pem.Decode(text)
	certificates, err := x509.ParseCertificates(block.Bytes)
	must(err)
	return certificates
}

// observation tells what is observed.
type observation struct{ href string }

func (o observation) Handle(_ context.Context, body coap.DecodeFunc) {
	var value any
	if err := body(&value); err != nil {
		o.Error(err)
		return
	}
	say(map[string]any{"observed": o.href, "value": plain(value)})
}

func (o observation) Error(err error) { say(map[string]any{"observed": o.href, "error": err.Error()}) }
func (o observation) OnClose()        { say(map[string]any{"observed": o.href, "closed": true}) }

// plain makes of a value what JSON can say.
func plain(value any) any {
	switch v := value.(type) {
	case map[any]any:
		named := map[string]any{}
		for key, item := range v {
			named[fmt.Sprint(key)] = plain(item)
		}
		return named
	case map[string]any:
		for key, item := range v {
			v[key] = plain(item)
		}
	case []any:
		for i, item := range v {
			v[i] = plain(item)
		}
	}
	return value
}

type tool struct {
	*client.Client
	observations map[string]string
}

// do carries one command out. Return: what it has found out.
func (t *tool) do(words []string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	switch words[0] {
	case "discover": // SECONDS
		wait, err := time.ParseDuration(words[1] + "s")
		must(err)
		listening, stop := context.WithTimeout(ctx, wait)
		defer stop()
		found, err := t.GetDevicesDetails(listening)
		devices := map[string]any{}
		for id, device := range found {
			devices[id] = map[string]any{
				"secured": device.IsSecured,
				"owned":   device.Ownership != nil && device.Ownership.Owned,
			}
		}
		return map[string]any{"devices": devices}, err
	case "own": // DEVICE just-works|manufacturer
		way := client.OTMType_JustWorks
		if words[2] == "manufacturer" {
			way = client.OTMType_Manufacturer
		}
		id, err := t.OwnDevice(ctx, words[1], client.WithOTMs([]client.OTMType{way}))
		return map[string]any{"owned": id}, err
	case "links": // DEVICE
		_, links, err := t.GetDevice(ctx, words[1])
		hrefs := []string{}
		for _, link := range links {
			hrefs = append(hrefs, link.Href)
		}
		return map[string]any{"links": hrefs}, err
	case "get": // DEVICE HREF
		var value any
		err := t.GetResource(ctx, words[1], words[2], &value)
		return map[string]any{"value": plain(value)}, err
	case "post": // DEVICE HREF JSON
		var asked, value any
		must(json.Unmarshal([]byte(words[3]), &asked))
		err := t.UpdateResource(ctx, words[1], words[2], asked, &value)
		return map[string]any{"value": plain(value)}, err
	case "observe": // DEVICE HREF
		id, err := t.ObserveResource(ctx, words[1], words[2], observation{words[2]})
		t.observations[words[2]] = id
		return map[string]any{"observing": words[2]}, err
	case "stop": // HREF
		_, err := t.StopObservingResource(ctx, t.observations[words[1]])
		return map[string]any{"stopped": words[1]}, err
	case "disown": // DEVICE
		return map[string]any{"disowned": words[1]}, t.DisownDevice(ctx, words[1])
	}
	return nil, fmt.Errorf("%s: no such command", words[0])
}

func main() {
	factory := flag.String("manufacturer", "", "folder with root.pem, tool.pem and tool.key")
	flag.Parse()
	certificate, key := newAuthority()
	application := authorities{own: parse(certificate)}
	if *factory != "" {
		root, err := os.ReadFile(filepath.Join(*factory, "root.pem"))
		must(err)
		application.manufacturer = parse(root)
		application.tool, err = tls.LoadX509KeyPair(filepath.Join(*factory, "tool.pem"), filepath.Join(*factory, "tool.key"))
		must(err)
	}
	sign := func(ca []*x509.Certificate, caKey crypto.PrivateKey, from, until time.Time, lists []string) (core.CertificateSigner, error) {
		return signer.NewOCFIdentityCertificate(ca, caKey, from, until, lists)
	}
	c, err := client.NewClientFromConfig(&client.Config{
		DeviceOwnershipSDK: &client.DeviceOwnershipSDKConfig{ID: owner, Cert: string(certificate), CertKey: string(key), CreateSignerFunc: sign},
	}, application, nil)
	must(err)
	must(c.Initialization(context.Background()))
	t := &tool{c, map[string]string{}}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.SplitN(lines.Text(), " ", 4)
		line, err := t.do(words)
		if err != nil {
			line = map[string]any{"error": err.Error()}
		}
		line["did"] = words[0]
		say(line)
	}
	must(c.Close(context.Background()))
}
