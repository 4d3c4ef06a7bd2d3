package shm

// atStep, if a test has set it, is called at each step of what changes the shared memory, with the step's name, so that
// a process can be killed exactly there.
var atStep func(name string)

func (r *Ring) step(name string) {
	if atStep != nil {
		atStep(name)
	}
}
