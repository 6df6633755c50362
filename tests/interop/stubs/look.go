// Prints the addresses of each name, `none` where there is none.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
)

func main() {
	for _, name := range os.Args[1:] {
		fmt.Print(name)
		addresses, err := net.LookupIP(name)
		var dnsError *net.DNSError
		if errors.As(err, &dnsError) && dnsError.IsNotFound {
			fmt.Print(" none")
		} else if err != nil {
			fmt.Print(" ", err)
		}
		for _, address := range addresses {
			fmt.Print(" ", address)
		}
		fmt.Println()
	}
}
