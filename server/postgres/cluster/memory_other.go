//go:build !linux

package cluster

func memoryDir() string { return "" }
