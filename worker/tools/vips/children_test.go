package vips

// children are what a child of a test can be: the real one, and hostile ones.
var children = map[string]func([]string) int{
	ProgramName: ChildMain,
}
