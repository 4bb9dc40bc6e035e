package main

// The onboarding tool's own authority, and OCF's rules for a peer's chain.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

var (
	identityUsage = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 44924, 1, 6}
	roleUsage     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 44924, 1, 7}
	alternative   = asn1.ObjectIdentifier{2, 5, 29, 17}
	errChain      = errors.New("not a chain to an anchor of ours")
)

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 150))
	must(err)
	return n.Add(n, big.NewInt(1))
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// newAuthority makes a root: key and certificate, both DER.
func newAuthority() ([]byte, []byte) {
	key := newKey()
	root := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Test onboarding root"},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	must(err)
	raw, err := x509.MarshalECPrivateKey(key)
	must(err)
	return raw, certificate
}

// issue makes the identity certificate of who has the public key.
func (t *tool) issue(subject string, public any) []byte {
	key, err := x509.ParseECPrivateKey(t.AuthorityKey)
	must(err)
	root, err := x509.ParseCertificate(t.Authority)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber:       serial(),
		Subject:            pkix.Name{CommonName: "uuid:" + subject},
		NotBefore:          time.Now().Add(-time.Minute),
		NotAfter:           time.Now().AddDate(0, 1, 0),
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement,
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{identityUsage},
		SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	out, err := x509.CreateCertificate(rand.Reader, leaf, root, public, key)
	must(err)
	return out
}

// directoryName is a subjectAltName that holds one name of a directory.
func directoryName(name pkix.Name) pkix.Extension {
	raw, err := asn1.Marshal(name.ToRDNSequence())
	must(err)
	one, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: raw})
	must(err)
	value, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: one})
	must(err)
	return pkix.Extension{Id: alternative, Value: value}
}

// issueRole makes a certificate that says which role somebody has, in PEM and with its root; forgery says what is wrong
// with it: "authority", "key", "name", "usage", or "" for nothing.
func (t *tool) issueRole(role, of, forgery string, public *ecdsa.PublicKey) string {
	rawKey, rawRoot, subject, usage := t.AuthorityKey, t.Authority, t.Owner, roleUsage
	switch forgery {
	case "authority":
		rawKey, rawRoot = newAuthority()
	case "key":
		public = &newKey().PublicKey
	case "name":
		subject = newUUID()
	case "usage":
		usage = identityUsage
	}
	key, err := x509.ParseECPrivateKey(rawKey)
	must(err)
	root, err := x509.ParseCertificate(rawRoot)
	must(err)
	name := pkix.Name{CommonName: role}
	if of != "" {
		name.OrganizationalUnit = []string{of}
	}
	leaf := &x509.Certificate{
		SerialNumber:       serial(),
		Subject:            pkix.Name{CommonName: "uuid:" + subject},
		NotBefore:          time.Now().Add(-time.Minute),
		NotAfter:           time.Now().AddDate(0, 1, 0),
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement,
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{usage},
		ExtraExtensions:    []pkix.Extension{directoryName(name)},
		SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, public, key)
	must(err)
	return pemOf("CERTIFICATE", der) + pemOf("CERTIFICATE", rawRoot)
}

// factory makes what a manufacturer has: root.pem, and for the device and for a tool chain and key, in files.
func factory(folder string) {
	year, now := time.Now().AddDate(1, 0, 0), time.Now().Add(-time.Minute)
	authority := x509.Certificate{
		NotBefore: now, NotAfter: year, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	root, between := authority, authority
	root.Subject, between.Subject = pkix.Name{CommonName: "Test manufacturer"}, pkix.Name{CommonName: "Test factory"}
	between.MaxPathLenZero = true
	rootKey, betweenKey := newKey(), newKey()
	sign := func(what, by *x509.Certificate, public any, key *ecdsa.PrivateKey) []byte {
		what.SerialNumber = serial()
		der, err := x509.CreateCertificate(rand.Reader, what, by, public, key)
		must(err)
		return der
	}
	write := func(name, text string) { must(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600)) }
	write("root.pem", pemOf("CERTIFICATE", sign(&root, &root, rootKey.Public(), rootKey)))
	second := pemOf("CERTIFICATE", sign(&between, &root, betweenKey.Public(), rootKey))
	for _, name := range []string{"device", "tool"} {
		key := newKey()
		leaf := x509.Certificate{
			Subject: pkix.Name{CommonName: newUUID()}, NotBefore: now, NotAfter: year,
			KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement,
			ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			UnknownExtKeyUsage: []asn1.ObjectIdentifier{identityUsage},
		}
		write(name+".pem", pemOf("CERTIFICATE", sign(&leaf, &between, key.Public(), betweenKey))+second)
		raw, err := x509.MarshalECPrivateKey(key)
		must(err)
		write(name+".key", pemOf("EC PRIVATE KEY", raw))
	}
}

// checkedRequest is the public key of a certificate request that is what OCF says it is.
func checkedRequest(text, device string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("csr: not PEM")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, err
	}
	key, isEC := request.PublicKey.(*ecdsa.PublicKey)
	if !isEC || key.Curve != elliptic.P256() {
		return nil, errors.New("csr: not a key on P-256")
	}
	if request.Subject.CommonName != "uuid:"+device {
		return nil, fmt.Errorf("csr: it names %s, not uuid:%s", request.Subject.CommonName, device)
	}
	return key, nil
}

func parseChain(raw [][]byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for _, der := range raw {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errChain
	}
	return chain, nil
}

// verify wants dates, signatures, an anchor, the identity usage, and, with a peer, its UUID as the whole common name.
func verify(chain []*x509.Certificate, roots *x509.CertPool, peer string) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	leaf := chain[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return err
	}
	for _, usage := range leaf.UnknownExtKeyUsage {
		if usage.Equal(identityUsage) {
			if peer != "" && leaf.Subject.CommonName != "uuid:"+peer {
				return fmt.Errorf("the certificate is of %s, not of %s", leaf.Subject.CommonName, peer)
			}
			return nil
		}
	}
	return errors.New("the certificate is not for an identity")
}

// manufacturer reads what an onboarding tool has of its own from a manufacturer: chain, key, and the roots it believes.
func manufacturer(chain, key, roots string) *credentials {
	pair, err := tls.LoadX509KeyPair(chain, key)
	must(err)
	pool := x509.NewCertPool()
	text, err := os.ReadFile(roots)
	must(err)
	if !pool.AppendCertsFromPEM(text) {
		must(errors.New("no root in " + roots))
	}
	return &credentials{chain: &pair, roots: pool}
}
