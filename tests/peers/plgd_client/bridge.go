//go:build bridge

// The library's example of a server is built beside our client: it is named here so that go.mod has what it needs.
package main

import _ "github.com/plgd-dev/device/v2/cmd/bridge-device"
