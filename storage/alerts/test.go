package alerts

import (
	"encoding/json"

	"gatehouse/storage/meta"
)

// Test makes the event that tries a channel.
func Test(channel string, now meta.Stamp) Event {
	return Event{Event: Tested, At: now.Time(), Alert: View{
		ID: meta.NewID(), Rule: "test", Subject: channel, Severity: Info, Message: "This is a test of the channel " + channel + "; nothing is wrong.",
		Facts: json.RawMessage("{}"), OpenedAt: now.Time(),
	}}
}

// QueueTest queues a test for the next worker that has the channel. It is tried once, and its row says what came of it.
func QueueTest(tx *meta.Tx, channel string) (meta.Notice, error) {
	now := meta.Now()
	e := Test(channel, now)
	body, err := json.Marshal(e)
	if err != nil {
		return meta.Notice{}, err
	}
	n := meta.Notice{ID: meta.NewID(), AlertID: e.Alert.ID, Channel: channel, Event: Tested, Body: string(body), NextAt: now, CreatedAt: now}
	return n, tx.AddNotice(n)
}
