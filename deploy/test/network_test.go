package deploy_test

import (
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// TestNetworkPolicy: nothing comes in; out go questions about names, and what goes to the
// ports that are listed or in an address.
func TestNetworkPolicy(t *testing.T) {
	for values, want := range map[string][]int32{
		"":                               {443},
		"networkPolicy: {ports: [5050]}": {443, 5050},
		`config: {GITLAB_URL: "http://gitlab.example.com/sub:1"}`:     {80, 443},
		`config: {GITLAB_URL: "https://gitlab.example.com:8443/sub"}`: {443, 8443},
		`config: {REGISTRY_URL: "registry.example.com:5000"}`:         {443, 5000},
		`config: {GITLAB_URL: "https://[2001:db8::1]"}`:               {443},
		`config: {GITLAB_URL: "https://[2001:db8::1]:444"}`:           {443, 444},
		`pushgateway: {url: "http://push.monitoring:9092/sub:1"}`:     {443, 9092},
		`pushgateway: {existingSecret: push}`:                         {443, 9091},
		`proxy: {https: "http://proxy:3128", http: "proxy:3129"}`:     {443, 3128, 3129},
	} {
		policy := mustRender(t, values).policy
		if got := portsOf(policy.Spec.Egress[1]); !slices.Equal(got, want) {
			t.Errorf("with %s the ports are %v; want %v", values, got, want)
		}
		if got := portsOf(policy.Spec.Egress[0]); !slices.Equal(got, []int32{53, 53}) || len(policy.Spec.Egress) != 2 {
			t.Errorf("with %s the policy is %v", values, policy.Spec.Egress)
		}
	}
	r := mustRender(t, `networkPolicy: {cidrs: [10.0.0.0/8, "2001:db8::/32"], dnsPorts: [5353], extraEgress: [{to: [{podSelector: {}}]}]}`)
	egress := r.policy.Spec.Egress
	if len(egress) != 3 || len(egress[1].To) != 2 || egress[1].To[1].IPBlock.CIDR != "2001:db8::/32" || egress[2].To[0].PodSelector == nil {
		t.Errorf("the policy is %v", egress)
	}
	if types := r.policy.Spec.PolicyTypes; len(types) != 2 || len(r.policy.Spec.Ingress) > 0 {
		t.Errorf("the policy is about %v and lets in %v", types, r.policy.Spec.Ingress)
	}
	labels := r.job.Spec.JobTemplate.Spec.Template.Labels
	for name, value := range r.policy.Spec.PodSelector.MatchLabels {
		if labels[name] != value {
			t.Errorf("the policy is for pods with %s=%s; the pods have %q", name, value, labels[name])
		}
	}
	if mustRender(t, "networkPolicy: {enabled: false}").policy != nil {
		t.Error("there is a policy that nobody wants")
	}
}

// TestNotesOnPorts: where a run needs the registry, and the policy may cut it off, the notes say what
// the policy lets out.
func TestNotesOnPorts(t *testing.T) {
	for values, want := range map[string]string{
		"":                                "lets out these ports: 443.",
		"networkPolicy: {ports: [5050]}":  "lets out these ports: 5050, 443.",
		"config: {VERIFY: api}":           "",
		"networkPolicy: {enabled: false}": "",
		`config: {REGISTRY_URL: "https://r.example.com:5050"}`: "",
	} {
		notes := mustRender(t, values).notes
		if says := strings.Contains(notes, "lets out"); says != (want != "") || !strings.Contains(notes, want) {
			t.Errorf("with %s the notes are\n%s\nwant %q", values, notes, want)
		}
	}
}

func portsOf(rule networkingv1.NetworkPolicyEgressRule) (ports []int32) {
	for _, port := range rule.Ports {
		ports = append(ports, port.Port.IntVal)
	}
	slices.Sort(ports)
	return ports
}
