package wait

import (
	"time"

	"golang.org/x/sys/windows"
)

// systemSleep sleeps for d at least, in the kernel, of which no bubble knows.
func systemSleep(d time.Duration) {
	windows.SleepEx(uint32((d+time.Millisecond-1)/time.Millisecond), false)
}
