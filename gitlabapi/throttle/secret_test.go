package throttle

import (
	"encoding/json"
	"fmt"
	"testing"

	"gitlab.com/registry-gc/registry-gc/internal/wiretest"
)

func TestASecretDoesNotShowItself(t *testing.T) {
	secret := NewSecret(" " + secretToken + "\n")
	if secret.Reveal() != secretToken {
		t.Fatalf("Reveal() = %q", secret.Reveal())
	}
	type unexported struct{ token Secret }
	config := Config{URL: "https://gitlab.example", Token: secret}
	client := newTestClient(t, answering(200, "[]"), config)
	for name, value := range map[string]any{
		"secret": secret, "pointer": &secret, "slice": []Secret{secret}, "map": map[string]Secret{"x": secret},
		"config": config, "pointer to config": &config,
		"unexported field": unexported{secret}, "pointer to it": &unexported{secret},
		"client": client,
	} {
		for _, way := range wiretest.Shows(value, secretToken) {
			t.Errorf("%s shows itself: %s", name, way)
		}
	}
	if got := fmt.Sprint(secret); got != redacted {
		t.Errorf("printed as %q", got)
	}
	if text, err := json.Marshal(config.Token); err != nil || string(text) != `"`+redacted+`"` {
		t.Errorf("marshalled as %s, %v", text, err)
	}
}

func TestReadingASecret(t *testing.T) {
	var got struct{ Token Secret }
	if err := json.Unmarshal([]byte(`{"Token":"`+secretToken+`\n"}`), &got); err != nil || got.Token.Reveal() != secretToken {
		t.Errorf("read %q, %v", got.Token.Reveal(), err)
	}
	for _, empty := range []Secret{{}, NewSecret(""), NewSecret(" \n")} {
		if !empty.IsZero() || empty.Reveal() != "" {
			t.Errorf("%q is not zero", empty.Reveal())
		}
		if got := empty.scrub("nothing to hide"); got != "nothing to hide" {
			t.Errorf("scrubbed to %q", got)
		}
	}
	if NewSecret("x").IsZero() {
		t.Error("a value is zero")
	}
}
