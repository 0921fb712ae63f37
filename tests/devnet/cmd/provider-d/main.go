// Command provider-d is the provider daemon of the devnet: the stock Interchain Security provider.
package main

import (
	"fmt"
	"os"

	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
	"github.com/cosmos/interchain-security/v7/app/params"
	app "github.com/cosmos/interchain-security/v7/app/provider"
	"github.com/cosmos/interchain-security/v7/cmd/interchain-security-pd/cmd"
)

func main() {
	// NewRootCmd seals the address prefixes, so they are set before it.
	params.SetAddressPrefixes("cosmos")
	if err := svrcmd.Execute(cmd.NewRootCmd(), "", app.DefaultNodeHome); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
