package remote

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// inMemory makes a file that can be executed, and read only.
func inMemory(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC|unix.MFD_EXEC|unix.MFD_ALLOW_SEALING)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 all can be executed
		fd, err = unix.MemfdCreate("program", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("keeping a program in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "program")
	_, err = file.Write(data)
	if err == nil {
		const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals) // it stays what it is
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keeping a program in memory: %w", err), file.Close())
	}
	return file, nil
}
