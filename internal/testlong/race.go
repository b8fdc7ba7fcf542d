//go:build race

package testlong

const raced = true
