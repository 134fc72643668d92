module gitlab.com/registry-gc/registry-gc

go 1.26.0
