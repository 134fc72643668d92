package policy

import (
	"math"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Conditions are checked with objects that have fields, and evaluated with one variable for
// each term: what is misspelt is found as such, and evaluation goes straight to the fact. No
// condition can have these variables of its own, as their names begin with a sign that no
// name has.
const (
	valueOf    = "@"     // of a term
	presenceOf = "@has " // whether there is a value; unknown when nobody knows
)

// environment is what conditions are compiled with; it has no settings in it.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	options := []cel.EnvOption{cel.CustomTypeProvider(&provider{registry}), daysFunction}
	for _, object := range objects() {
		options = append(options, cel.Variable(object, cel.ObjectType(object)))
	}
	for _, t := range vocabulary {
		if t.object == "" {
			options = append(options, cel.Variable(t.field, t.typ))
		}
		options = append(options, cel.Variable(valueOf+string(t.name), t.typ))
		if t.present != nil {
			options = append(options, cel.Variable(presenceOf+string(t.name), types.BoolType))
		}
	}
	return cel.NewEnv(options...)
})

// daysFunction is days(30), as durations of CEL know nothing longer than an hour.
var daysFunction = cel.Function("days", cel.Overload("days_int", []*cel.Type{cel.IntType}, cel.DurationType,
	cel.UnaryBinding(func(days ref.Val) ref.Val {
		const day, most = 24 * time.Hour, math.MaxInt64 / int64(24*time.Hour)
		n, isInt := days.(types.Int)
		if !isInt || int64(n) > most || int64(n) < -most {
			return types.NewErr("%v days are no duration", days)
		}
		return types.Duration{Duration: time.Duration(n) * day}
	})))

// A provider tells CEL which fields the objects have.
type provider struct{ types.Provider }

// FindStructType knows the objects.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if len(fieldsOf(name)) > 0 && name != "" {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames returns the fields of an object.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if fields := fieldsOf(name); len(fields) > 0 && name != "" {
		return fields, true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType returns the type of a field. What would get its value is not needed:
// fields are variables before anything is evaluated.
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if t := termOf(name + "." + field); t != nil {
		return &types.FieldType{Type: t.typ}, true
	}
	return p.Provider.FindStructFieldType(name, field)
}
