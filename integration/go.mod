module github.com/yesterday-time/yesterday/integration

go 1.26.0

require golang.org/x/sys v0.49.0

require (
	github.com/beevik/ntp v1.6.0
	github.com/gaissmai/bart v0.30.0 // indirect
	github.com/yesterday-time/yesterday v0.0.0
	golang.org/x/net v0.59.0 // indirect
)

replace github.com/yesterday-time/yesterday => ..
