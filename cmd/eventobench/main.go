// Command eventobench answers one question: did this change make my Go server
// faster?
package main

import "os"

func main() { os.Exit(Main()) }
