package operator

import (
	"context"
	"time"
)

// StepUpAge is how long a code of the second factor counts as fresh.
const StepUpAge = 5 * time.Minute

// StepUp shows a fresh code of the second factor for what is dangerous. Tokens have none.
func (d *Desk) StepUp(ctx context.Context, c Caller, p *Principal, code string) (Ticket, error) {
	return d.showCode(ctx, c, p, StageFull, "operator.step_up", code)
}
