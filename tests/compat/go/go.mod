// Sources come from Debian's packages, whose versions and hashes stand in ../debian.txt:
// scripts/provision points these names to where they lie.
module narrows.test/clients

go 1.19

require (
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/dgryski/go-rendezvous v0.0.0-20200823014737-9f7001d12a5f
	github.com/gomodule/redigo v1.8.3
	github.com/redis/go-redis/v9 v9.17.2
)
