module github.com/yesterday-time/yesterday/integration

go 1.26.0

require golang.org/x/sys v0.49.0

require (
	github.com/facebook/time v0.0.0-20260822211804-f81aedc1c1e3 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/josharian/native v1.0.0 // indirect
	github.com/jsimonetti/rtnetlink v1.2.0 // indirect
	github.com/mdlayher/netlink v1.6.0 // indirect
	github.com/mdlayher/socket v0.2.3 // indirect
	github.com/sirupsen/logrus v1.9.1 // indirect
	github.com/tink-crypto/tink-go/v2 v2.4.0 // indirect
	golang.org/x/crypto v0.57.0 // indirect
	golang.org/x/sync v0.5.0 // indirect
	google.golang.org/protobuf v1.36.5 // indirect
)

require (
	github.com/beevik/ntp v1.6.0
	github.com/gaissmai/bart v0.30.0 // indirect
	github.com/yesterday-time/yesterday v0.0.0
	golang.org/x/net v0.59.0 // indirect
)

replace github.com/yesterday-time/yesterday => ..

tool github.com/facebook/time/cmd/ntpresponder
