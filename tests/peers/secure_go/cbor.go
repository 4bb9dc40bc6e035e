package main

// As much CBOR (RFC 8949) as representations need, written from what OCF devices send: definite and indefinite lengths.

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
)

// textBytes goes out as a text string whatever bytes it has: so owners' keys are sent by some clients.
type textBytes []byte

var errCBOR = errors.New("not CBOR")

func head(major byte, n uint64) []byte {
	switch {
	case n < 24:
		return []byte{major<<5 | byte(n)}
	case n < 1<<8:
		return []byte{major<<5 | 24, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{major<<5 | 25}, uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32([]byte{major<<5 | 26}, uint32(n))
	}
	return binary.BigEndian.AppendUint64([]byte{major<<5 | 27}, n)
}

func integer(n int64) []byte {
	if n < 0 {
		return head(1, uint64(-1-n))
	}
	return head(0, uint64(n))
}

func encode(v any) []byte {
	switch v := v.(type) {
	case nil:
		return []byte{0xf6}
	case bool:
		if v {
			return []byte{0xf5}
		}
		return []byte{0xf4}
	case int:
		return integer(int64(v))
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return integer(n)
		}
		f, err := v.Float64()
		must(err)
		return binary.BigEndian.AppendUint64([]byte{0xfb}, math.Float64bits(f))
	case string:
		return append(head(3, uint64(len(v))), v...)
	case textBytes:
		return append(head(3, uint64(len(v))), v...)
	case []byte:
		return append(head(2, uint64(len(v))), v...)
	case []any:
		out := head(4, uint64(len(v)))
		for _, e := range v {
			out = append(out, encode(e)...)
		}
		return out
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		out := head(5, uint64(len(v)))
		for _, k := range keys {
			out = append(append(out, encode(k)...), encode(v[k])...)
		}
		return out
	}
	panic(fmt.Sprintf("no CBOR for %T", v))
}

type decoder struct {
	in    []byte
	depth int
}

func decode(in []byte) (any, error) {
	d := decoder{in: in}
	v, err := d.item()
	if err == nil && len(d.in) != 0 {
		return nil, fmt.Errorf("%w: %d bytes more", errCBOR, len(d.in))
	}
	return v, err
}

func (d *decoder) take(n uint64) ([]byte, error) {
	if n > uint64(len(d.in)) {
		return nil, errCBOR
	}
	out := d.in[:n]
	d.in = d.in[n:]
	return out, nil
}

// Return: major type, argument, and whether its length is indefinite.
func (d *decoder) head() (byte, byte, uint64, error) {
	first, err := d.take(1)
	if err != nil {
		return 0, 0, 0, err
	}
	major, info := first[0]>>5, first[0]&31
	if info < 24 || info == 31 {
		return major, info, uint64(info), nil
	}
	if info > 27 {
		return 0, 0, 0, errCBOR
	}
	raw, err := d.take(1 << (info - 24))
	if err != nil {
		return 0, 0, 0, err
	}
	n := uint64(0)
	for _, b := range raw {
		n = n<<8 | uint64(b)
	}
	return major, info, n, nil
}

func (d *decoder) atBreak() bool {
	if len(d.in) == 0 || d.in[0] != 0xff {
		return false
	}
	d.in = d.in[1:]
	return true
}

func (d *decoder) each(info byte, n uint64, one func() error) error {
	for i := uint64(0); ; i++ {
		if info == 31 && d.atBreak() || info != 31 && i == n {
			return nil
		}
		if err := one(); err != nil {
			return err
		}
	}
}

func (d *decoder) item() (any, error) {
	d.depth++
	defer func() { d.depth-- }()
	if d.depth > 32 {
		return nil, errCBOR
	}
	major, info, n, err := d.head()
	if err != nil {
		return nil, err
	}
	if info == 31 && (major < 2 || major > 5) {
		return nil, errCBOR
	}
	switch major {
	case 0:
		return int64(n), nil
	case 1:
		return -1 - int64(n), nil
	case 2, 3:
		return d.text(major, info, n)
	case 4:
		list := []any{}
		err = d.each(info, n, func() error {
			v, err := d.item()
			list = append(list, v)
			return err
		})
		return list, err
	case 5:
		return d.object(info, n)
	case 6:
		return d.item()
	}
	return simple(info, n)
}

func (d *decoder) text(major, info byte, n uint64) (any, error) {
	var out []byte
	if info != 31 {
		raw, err := d.take(n)
		if err != nil {
			return nil, err
		}
		out = raw
	} else if err := d.each(info, n, func() error {
		m, i, n, err := d.head()
		if err != nil || m != major || i == 31 {
			return errCBOR
		}
		raw, err := d.take(n)
		out = append(out, raw...)
		return err
	}); err != nil {
		return nil, err
	}
	if major == 3 {
		return string(out), nil
	}
	return append([]byte{}, out...), nil
}

func (d *decoder) object(info byte, n uint64) (any, error) {
	m := map[string]any{}
	err := d.each(info, n, func() error {
		k, err := d.item()
		if err != nil {
			return err
		}
		key, isText := k.(string)
		if _, twice := m[key]; !isText || twice {
			return fmt.Errorf("%w: key %v", errCBOR, k)
		}
		m[key], err = d.item()
		return err
	})
	return m, err
}

func simple(info byte, n uint64) (any, error) {
	switch info {
	case 20, 21:
		return info == 21, nil
	case 22, 23:
		return nil, nil
	case 26:
		return float64(math.Float32frombits(uint32(n))), nil
	case 27:
		return math.Float64frombits(n), nil
	}
	return nil, fmt.Errorf("%w: simple value %d", errCBOR, n)
}

// plain makes of a decoded value one that encoding/json can print: bytes become text in hex.
func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]any{"hex": hex.EncodeToString(v)}
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, plain(e))
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	}
	return v
}
