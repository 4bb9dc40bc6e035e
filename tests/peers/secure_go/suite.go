package main

// The suite of Just Works, 0xFF00: ECDH without any authentication, then AES-128-CBC and HMAC-SHA256, as in 0xC037.

import (
	"crypto/sha256"
	"errors"
	"hash"
	"sync/atomic"

	"github.com/pion/dtls/v2"
	"github.com/pion/dtls/v2/pkg/crypto/ciphersuite"
	"github.com/pion/dtls/v2/pkg/crypto/clientcertificate"
	"github.com/pion/dtls/v2/pkg/crypto/prf"
	"github.com/pion/dtls/v2/pkg/protocol/recordlayer"
)

const anonymousSuite dtls.CipherSuiteID = 0xff00

type anonymous struct {
	cbc                        atomic.Value
	master, byClient, byServer []byte
}

var errTooEarly = errors.New("a record before there are keys")

func (*anonymous) String() string                          { return "ECDH_anon_AES_128_CBC_SHA256" }
func (*anonymous) ID() dtls.CipherSuiteID                  { return anonymousSuite }
func (*anonymous) CertificateType() clientcertificate.Type { return 0 }
func (*anonymous) HashFunc() func() hash.Hash              { return sha256.New }
func (*anonymous) ECC() bool                               { return true }
func (s *anonymous) IsInitialized() bool                   { return s.cbc.Load() != nil }

func (*anonymous) AuthenticationType() dtls.CipherSuiteAuthenticationType {
	return dtls.CipherSuiteAuthenticationTypeAnonymous
}

func (*anonymous) KeyExchangeAlgorithm() dtls.CipherSuiteKeyExchangeAlgorithm {
	return dtls.CipherSuiteKeyExchangeAlgorithmEcdhe
}

func (s *anonymous) Init(master, clientRandom, serverRandom []byte, isClient bool) error {
	s.master, s.byClient, s.byServer = copied(master), copied(clientRandom), copied(serverRandom)
	k, err := prf.GenerateEncryptionKeys(master, clientRandom, serverRandom, 32, 16, 16, sha256.New)
	if err != nil {
		return err
	}
	var cbc *ciphersuite.CBC
	if isClient {
		cbc, err = ciphersuite.NewCBC(k.ClientWriteKey, k.ClientWriteIV, k.ClientMACKey, k.ServerWriteKey, k.ServerWriteIV, k.ServerMACKey, sha256.New)
	} else {
		cbc, err = ciphersuite.NewCBC(k.ServerWriteKey, k.ServerWriteIV, k.ServerMACKey, k.ClientWriteKey, k.ClientWriteIV, k.ClientMACKey, sha256.New)
	}
	if err == nil {
		s.cbc.Store(cbc)
	}
	return err
}

func (s *anonymous) Encrypt(record *recordlayer.RecordLayer, raw []byte) ([]byte, error) {
	if cbc, ok := s.cbc.Load().(*ciphersuite.CBC); ok {
		return cbc.Encrypt(record, raw)
	}
	return nil, errTooEarly
}

func (s *anonymous) Decrypt(header recordlayer.Header, raw []byte) ([]byte, error) {
	if cbc, ok := s.cbc.Load().(*ciphersuite.CBC); ok {
		return cbc.Decrypt(header, raw)
	}
	return nil, errTooEarly
}

func copied(b []byte) []byte {
	return append([]byte{}, b...)
}

// ownerKey is what both sides derive from this session where no key was sent.
func (s *anonymous) ownerKey(method string, owner, device []byte) ([]byte, error) {
	expand := func(secret []byte, label string, n int, seeds ...[]byte) ([]byte, error) {
		seed := []byte(label)
		for _, b := range seeds {
			seed = append(seed, b...)
		}
		return prf.PHash(secret, seed, n, sha256.New)
	}
	block, err := expand(s.master, "key expansion", 2*(32+16), s.byServer, s.byClient)
	if err != nil {
		return nil, err
	}
	return expand(block, method, 16, owner, device)
}
