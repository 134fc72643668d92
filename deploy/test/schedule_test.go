package deploy_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

// kubernetesTakes is what Kubernetes asks of the schedule of a CronJob with a time zone.
func kubernetesTakes(schedule string) bool {
	_, err := cron.ParseStandard(schedule)
	return err == nil && !strings.Contains(schedule, "TZ")
}

// TestSchedule: the chart takes the schedules that Kubernetes takes and no others, and says of what it refuses
// in words what is right.
func TestSchedule(t *testing.T) {
	const whole, forwards = "must be 'five fields, such as 17 2 * * *", "ends before it begins"
	nth := func(which string) string { return "must be 'five fields whose " + which + " is the " }
	for schedule, says := range map[string]string{ // "" for those that are taken
		"17 2 * * *": "", "0 0 1 1 0": "", "59 23 31 12 6": "", "*/15 * * * *": "", "? ? ? ? ?": "", "00 02 01 01 00": "",
		"0,30 1-4 1-7,15,20-22 * MON-FRI": "", "5/20 4-20/2 */2 JAN,jul Sun,sat": "", "0 0 * jan-Mar/2 tue-6": "", " 1\t2  * * * ": "",
		"*/90 * * * *": "", "0 0 1 feb-11 *": "",
		"@yearly": "", "@annually": "", "@monthly": "", "@weekly": "", "@daily": "", "@midnight": "", "@hourly": "",
		"@every 12h": "", "@every 1h30m": "", "@every 1.5h": "",
		"": whole, "nightly": whole, "17 2 * *": whole, "0 17 2 * * *": whole,
		"60 2 * * *": nth("first"), "-1 2 * * *": nth("first"), "*/0 2 * * *": nth("first"), "0- 2 * * *": nth("first"),
		"1/2/3 2 * * *": nth("first"), "1-2-3 2 * * *": nth("first"), "a 2 * * *": nth("first"), "1.5 2 * * *": nth("first"),
		"0 24 * * *": nth("second"), "0 2am * * *": nth("second"), "0 99,100 * * *": nth("second"),
		"0 2 0 * *": nth("third"), "0 2 32 * *": nth("third"), "0 2 L * *": nth("third"),
		"0 2 * 0 *": nth("fourth"), "0 2 * 13 *": nth("fourth"), "0 2 * JANUARY *": nth("fourth"), "0 2 * MON *": nth("fourth"),
		"0 2 * * 7": nth("fifth"), "0 2 * * JAN": nth("fifth"), "0 2 * * 5L": nth("fifth"), "0 2 * * MON#1": nth("fifth"), "0 2 * * Sunday": nth("fifth"),
		"0 22-2 * * *": `the range 22-2, which ` + forwards, "0 2 * * FRI-MON": forwards, "0 2 * DEC-FEB *": forwards, "30-015/5 2 * * *": whole[:5],
		"0 10-9 * * *": forwards, "0 9 * nov-2 *": forwards,
		"@nightly": "one of '@yearly'", "@Daily": "one of '@yearly'", "@every": "one of '@yearly'", "@every day": "one of '@yearly'", "@reboot": "one of '@yearly'",
		"TZ=Europe/Berlin 17 2 * * *": "that has its place in timeZone", "CRON_TZ=UTC 17 2 * * *": "that has its place in timeZone",
		"CRON_TZ=UTC @daily": "that has its place in timeZone",
	} {
		if takes := kubernetesTakes(schedule); takes != (says == "") {
			t.Errorf("Kubernetes takes %q: %t", schedule, takes)
		}
		r, err := render(overlay(t, fmt.Sprintf("schedule: %q", schedule)))
		switch {
		case says == "" && err != nil:
			t.Errorf("schedule %q is refused: %v", schedule, err)
		case says == "" && r.job.Spec.Schedule != schedule:
			t.Errorf("schedule %q arrives as %q", schedule, r.job.Spec.Schedule)
		case says != "" && (err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "pattern")):
			t.Errorf("schedule %q: %v; want %q", schedule, err, says)
		}
	}
}

// TestEveryNumberOfASchedule holds each number and name of each field against Kubernetes' own parser.
func TestEveryNumberOfASchedule(t *testing.T) {
	values := strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC SUN MON TUE WED THU FRI SAT XYZ")
	for number := range 62 {
		values = append(values, fmt.Sprint(number))
	}
	// Values of all fields in one rendering of the schema would hide which of them it refuses.
	for field := range 5 {
		for _, value := range values {
			fields := []string{"*", "*", "*", "*", "*"}
			fields[field] = value
			schedule := strings.Join(fields, " ")
			if err := checkSchema(t, map[string]any{"schedule": schedule}); (err == nil) != kubernetesTakes(schedule) {
				t.Errorf("Kubernetes takes %q: %t; the schema says %v", schedule, kubernetesTakes(schedule), err)
			}
		}
	}
}

// TestSentencesAreNoSchedules: what the schema says must be cannot be given as a schedule.
func TestSentencesAreNoSchedules(t *testing.T) {
	sentences := 0
	for _, key := range []string{"schedule", "timeZone"} {
		for _, sentence := range constants(t, key) {
			sentences++
			if checkSchema(t, map[string]any{key: sentence}) == nil {
				t.Errorf("%s: %q is taken", key, sentence)
			}
		}
	}
	if sentences != 8 {
		t.Errorf("there are %d sentences", sentences)
	}
}

// TestTimeZone: names of the time zone database, and not that of the machines of a cluster.
func TestTimeZone(t *testing.T) {
	for zone, takes := range map[string]bool{
		"Etc/UTC": true, "UTC": true, "Europe/Berlin": true, "America/Argentina/Buenos_Aires": true, "Etc/GMT+8": true, "America/Port-au-Prince": true,
		"": false, "Local": false, "local": false, "+02:00": false, "Europe/": false, "../etc": false, "Europe Berlin": false,
	} {
		if _, err := time.LoadLocation(zone); takes && err != nil {
			t.Errorf("there is no time zone %q", zone)
		}
		err := checkSchema(t, map[string]any{"timeZone": zone})
		if (err == nil) != takes || err != nil && !strings.Contains(err.Error(), "a time zone by its name") {
			t.Errorf("timeZone %q: %v", zone, err)
		}
	}
}

// constants returns the sentences that the schema has for a value.
func constants(t *testing.T, key string) (sentences []string) {
	t.Helper()
	var root struct{ Properties map[string]json.RawMessage }
	if err := json.Unmarshal(loadChart(t).Schema, &root); err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`"const": ("(?:[^"\\]|\\.)*")`).FindAllSubmatch(root.Properties[key], -1) {
		var sentence string
		if err := json.Unmarshal(match[1], &sentence); err != nil {
			t.Fatal(err)
		}
		sentences = append(sentences, sentence)
	}
	return sentences
}
