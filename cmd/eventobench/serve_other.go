//go:build !unix

package main

func ignoreFileSizeLimit() {} // there is none
