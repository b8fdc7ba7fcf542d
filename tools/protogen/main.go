// Protogen makes Go code of .proto files without a protoc that must be installed:
// it compiles the files and hands the result to protoc-gen-go, as protoc does.
//
//	go run . FOLDER
//
// Each file of FOLDER gets a .pb.go beside it.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: protogen FOLDER")
	}
	err := generate(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
}

// generate makes the code of all .proto files of a folder.
func generate(folder string) error {
	paths, err := filepath.Glob(filepath.Join(folder, "*.proto"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("%s has no .proto file", folder)
	}
	request, err := compile(folder, paths)
	if err != nil {
		return err
	}
	answer, err := generateGo(request)
	if err != nil {
		return err
	}
	for _, file := range answer.File {
		err := os.WriteFile(filepath.Join(folder, file.GetName()), []byte(file.GetContent()), 0o644)
		if err != nil {
			return err
		}
	}
	return nil
}

// compile makes the request to a plugin. Comments are kept for the Go code.
func compile(folder string, paths []string) (*pluginpb.CodeGeneratorRequest, error) {
	request := &pluginpb.CodeGeneratorRequest{Parameter: proto.String("paths=source_relative")}
	for _, path := range paths {
		request.FileToGenerate = append(request.FileToGenerate, filepath.Base(path))
	}
	compiler := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{ImportPaths: []string{folder}},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), request.FileToGenerate...)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(file))
	}
	return request, nil
}

// generateGo asks protoc-gen-go, in the version that go.mod names.
func generateGo(request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	in, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	plugin := exec.Command("go", "tool", "protoc-gen-go")
	plugin.Stdin, plugin.Stderr = bytes.NewReader(in), os.Stderr
	out, err := plugin.Output()
	if err != nil {
		return nil, fmt.Errorf("protoc-gen-go: %w", err)
	}
	answer := &pluginpb.CodeGeneratorResponse{}
	err = proto.Unmarshal(out, answer)
	if err == nil && answer.GetError() != "" {
		err = fmt.Errorf("protoc-gen-go: %s", answer.GetError())
	}
	return answer, err
}
