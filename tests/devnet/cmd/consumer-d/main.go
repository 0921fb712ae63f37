// Command consumer-d is the consumer daemon of the devnet: the stock Interchain Security consumer.
package main

import (
	"fmt"
	"os"

	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
	app "github.com/cosmos/interchain-security/v7/app/consumer"
	"github.com/cosmos/interchain-security/v7/app/params"
	"github.com/cosmos/interchain-security/v7/cmd/interchain-security-cd/cmd"
)

func main() {
	// NewRootCmd seals the address prefixes, so they are set before it.
	params.SetAddressPrefixes(app.Bech32MainPrefix)
	if err := svrcmd.Execute(cmd.NewRootCmd(), "", app.DefaultNodeHome); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
