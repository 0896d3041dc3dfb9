package vips

// ChildCommand is the hidden first argument that makes the worker's main call ChildMain.
const ChildCommand = "vips-child"

// The descriptors of the child beyond the standard three.
const (
	inputFD       = 3
	firstOutputFD = 4
)

// spec is what the parent tells the child, as JSON in its second argument.
type spec struct {
	MaxPixels int64         `json:"max_pixels"`
	Presets   []variantSpec `json:"presets"`
	Threads   int           `json:"threads"`
	Limits    limits        `json:"limits"`
}

// variantSpec is one output; its file is the descriptor firstOutputFD plus its index.
type variantSpec struct {
	LongEdge int `json:"long_edge"`
	Quality  int `json:"quality"`
}

// limits are the child's resource limits.
type limits struct {
	CPUSeconds  uint64 `json:"cpu_seconds"`
	MemoryBytes uint64 `json:"memory_bytes"`
	FileBytes   uint64 `json:"file_bytes"`
}

// The child's exit codes. The Go runtime exits with 2 when it dies of a panic or a signal in C code.
const (
	exitDone          = 0
	exitSpec          = 10 // called wrongly: a bug on our side
	exitStorage       = 11 // could not read the input or write an output or a temporary file
	exitDamaged       = 12
	exitTooManyPixels = 13
	exitTooCostly     = 14
)
