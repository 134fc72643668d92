package metrics

import (
	"bytes"
	"fmt"

	"github.com/prometheus/common/expfmt"
)

// Text returns the metrics in the text format of OpenMetrics 1.0.
//
// That is what GitLab wants of a metrics report, whose reader in truth splits lines like
// a shell and takes the first word for the name, labels and all; no label holds a blank,
// a quote or a #. node_exporter's textfile collector knows Prometheus' own text format
// only. Both formats are the same for gauges without units and timestamps, but for the
// last line, "# EOF", which is a comment in the older one. A counter would be called by
// another name in its TYPE line, and an info would be refused.
func (r *Run) Text() ([]byte, error) {
	families, err := r.registry().Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToOpenMetrics(&text, family); err != nil {
			return nil, fmt.Errorf("rendering %s: %w", family.GetName(), err)
		}
	}
	_, err = expfmt.FinalizeOpenMetrics(&text)
	return text.Bytes(), err
}
