package runfolder

// Host describes the machine an experiment ran on, as far as timing depends
// on it.
type Host struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Kernel     string `json:"kernel"`
	CPUModel   string `json:"cpu_model"`
	Cores      int    `json:"cores"`    // of the machine, 0 if unknown
	Affinity   int    `json:"affinity"` // those of them the processes may run on
	GOMAXPROCS int    `json:"gomaxprocs"`
	Governor   string `json:"governor"` // CPU frequency governor
	Memory     int64  `json:"memory_bytes"`
}
