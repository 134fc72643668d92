package gitlabtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"
)

// claims are what a token for the registry says.
type claims struct {
	Access   []access `json:"access"`
	Audience string   `json:"aud"`
	Issuer   string   `json:"iss"`
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
}

// access is what may be done with one repository.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// signer makes tokens that say themselves what they allow, so that the server
// need not remember any.
type signer struct{ key []byte }

func newSigner(seed uint64) signer {
	key := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("registry"), seed))
	return signer{key[:]}
}

var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

func (s signer) sign(k claims) string {
	signed := tokenHeader + "." + base64.RawURLEncoding.EncodeToString(encode(k))
	return signed + "." + s.signature(signed)
}

func (s signer) signature(signed string) string {
	mac := hmac.New(sha256.New, s.key)
	_, _ = mac.Write([]byte(signed))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// open returns what a token says, if it is one of the signer's that holds at
// that time.
func (s signer) open(token string, now time.Time) (*claims, bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !hmac.Equal([]byte(token[i+1:]), []byte(s.signature(token[:i]))) {
		return nil, false
	}
	_, payload, _ := strings.Cut(token[:i], ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil, false
	}
	k := &claims{}
	if err := json.Unmarshal(text, k); err != nil {
		return nil, false
	}
	return k, now.Before(time.Unix(k.Expires, 0))
}
