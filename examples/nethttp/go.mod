// Module nethttp is an example that needs gRPC and a WebSocket library, so that users of plexor do not get them with it.
module github.com/plexor-go/plexor/examples/nethttp

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	github.com/plexor-go/plexor v0.0.0
	golang.org/x/crypto v0.59.0
	google.golang.org/grpc v1.85.0
)

require (
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.44.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/plexor-go/plexor => ../..
