package runfolder

import "time"

// Machine is what the whole machine did while a block's slices were measured:
// what may disturb a measurement without showing in it. A nil field could not
// be read here; the manifest says why.
type Machine struct {
	Window time.Duration  `json:"window_ns"`         // from the first slice to the end of the last
	CPUs   int            `json:"cpus,omitempty"`    // that the machine's times below are of
	Busy   *time.Duration `json:"busy_ns,omitempty"` // user and system time of all processes
	Ours   *time.Duration `json:"ours_ns,omitempty"` // of it, what the subjects and the generator used
	Idle   *time.Duration `json:"idle_ns,omitempty"` // waiting for disks included
	Steal  *time.Duration `json:"steal_ns,omitempty"`

	Pressure *time.Duration `json:"cpu_pressure_ns,omitempty"` // in which some task waited for a CPU
	Runnable *float64       `json:"runnable,omitempty"`        // tasks that ran or wanted to between rounds, mean

	Throttled        *time.Duration `json:"throttled_ns,omitempty"` // by a CPU quota of our control groups
	ThrottledPeriods *int64         `json:"throttled_periods,omitempty"`
	ThermalEvents    *int64         `json:"thermal_events,omitempty"` // times a core slowed down because of heat
	FrequencyMHz     *float64       `json:"frequency_mhz,omitempty"`  // mean over the CPUs at the end of the window
	Clocksource      *string        `json:"clocksource,omitempty"`
}

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
