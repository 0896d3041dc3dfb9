package vips

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Messages are JSON datagrams over a socket pair; jobs bring the picture and the empty outputs as descriptors.
const (
	// ProgramName is under which name the worker's main gives ChildMain to sandbox.Main.
	ProgramName = "vips"

	socketFD   = 3
	maxMessage = 16 << 10
	// maxPresets bounds the descriptors of a job.
	maxPresets = 16
	// maxFiles is how many descriptors a child may have: 0 to 2, the socket, the picture, the outputs, and what Go
	// and libvips open for themselves, four of them between jobs. A child that was taken over can keep
	// outputs of earlier jobs, whose memory no limit of a process counts: this bounds how many.
	maxFiles = 5 + maxPresets + 19
)

// job is what the parent asks for. Its descriptors are the picture, then one output for each of Outputs.
type job struct {
	// Number is repeated in every reply.
	Number    int64     `json:"number"`
	MaxPixels int64     `json:"max_pixels"`
	MaxFrames int       `json:"max_frames"`
	Threads   int       `json:"threads"`
	Outputs   []variant `json:"outputs"`
}

// variant is one output to be made; Index is the parent's name for it.
type variant struct {
	Index    int    `json:"index"`
	LongEdge int    `json:"long_edge"`
	Quality  int    `json:"quality"`
	Effort   int    `json:"effort"`
	Format   Format `json:"format"`
}

// reply is what the child answers: once Facts, then each output as it is ready, then the End.
type reply struct {
	Number int64  `json:"number"`
	Facts  *Facts `json:"facts,omitempty"`
	Output *int   `json:"output,omitempty"`
	End    end    `json:"end,omitempty"`
	// Detail is for the log: the error, or what libvips complained about in a job that went well.
	Detail string `json:"detail,omitempty"`
}

// end says how a job ended.
type end string

const (
	endDone          end = "done"
	endStorage       end = "storage" // could not read the picture or write an output
	endDamaged       end = "damaged"
	endTooManyPixels end = "too_many_pixels"
	endTooManyFrames end = "too_many_frames"
	endTooCostly     end = "too_costly"
)

// receiveJob is the child's side; io.EOF says that the parent has no more.
func receiveJob() (job, []*os.File, error) {
	message, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*(1+maxPresets)))
	n, rightsLength, flags, _, err := unix.Recvmsg(socketFD, message, rights, unix.MSG_CMSG_CLOEXEC)
	for errors.Is(err, unix.EINTR) {
		n, rightsLength, flags, _, err = unix.Recvmsg(socketFD, message, rights, unix.MSG_CMSG_CLOEXEC)
	}
	switch {
	case err != nil:
		return job{}, nil, fmt.Errorf("receive a job: %w", err)
	case n == 0:
		return job{}, nil, io.EOF
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		return job{}, nil, errors.New("receive a job: cut off")
	}
	var j job
	if err := json.Unmarshal(message[:n], &j); err != nil {
		return job{}, nil, fmt.Errorf("receive a job: %w", err)
	}
	controls, err := unix.ParseSocketControlMessage(rights[:rightsLength])
	if err != nil {
		return job{}, nil, fmt.Errorf("receive descriptors: %w", err)
	}
	var files []*os.File
	for _, c := range controls {
		descriptors, err := unix.ParseUnixRights(&c)
		if err != nil {
			return job{}, nil, fmt.Errorf("receive descriptors: %w", err)
		}
		for _, fd := range descriptors {
			files = append(files, os.NewFile(uintptr(fd), "file"))
		}
	}
	if len(files) != 1+len(j.Outputs) {
		return job{}, nil, fmt.Errorf("receive a job: %d files for %d outputs", len(files), len(j.Outputs))
	}
	return j, files, nil
}

// sendReply is the child's side. One datagram is one message, so threads may send at once.
func sendReply(r reply) error {
	r.Detail = r.Detail[:min(len(r.Detail), 1000)]
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = unix.Sendmsg(socketFD, b, nil, nil, unix.MSG_NOSIGNAL)
	for errors.Is(err, unix.EINTR) {
		err = unix.Sendmsg(socketFD, b, nil, nil, unix.MSG_NOSIGNAL)
	}
	if err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	return nil
}
