package api

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/admin"
	"gatehouse/gateway/upload"
	"gatehouse/storage"
	"gatehouse/storage/release"
)

// ArtifactUpload says what the file is; the file itself is the one part of a form.
type ArtifactUpload struct {
	ID     string       `path:"id" json:"-"`
	Kind   release.Kind `query:"kind" json:"-" required:"true" enum:"installer,portable,blockmap,manifest" doc:"What the file is for."`
	Name   string       `query:"name" json:"-" doc:"What clients see it as; without it, the file name in the form."`
	Reason string       `query:"reason" json:"-" doc:"Why; kept in the audit log."` // a form has no place for it
}

// UploadArtifact takes a file of a draft in through the door that every file comes through: the same rules, the same quarantine,
// the same scan. It belongs to the platform's tenant.
func (a *API) UploadArtifact() Endpoint {
	handler := func(c *fiber.Ctx) error {
		var in ArtifactUpload
		if err := bind(c, &in); err != nil {
			return err
		}
		made, err := a.uploadArtifact(c, a.request(c), in)
		if err != nil {
			return err
		}
		return c.Status(http.StatusCreated).JSON(made)
	}
	return Endpoint{
		Handler: handler, In: reflect.TypeFor[ArtifactUpload](), Out: reflect.TypeFor[admin.UploadedArtifact](), Status: http.StatusCreated, File: true,
	}
}

func (a *API) uploadArtifact(c *fiber.Ctx, r *Request, in ArtifactUpload) (admin.UploadedArtifact, error) {
	var none admin.UploadedArtifact
	r.Admin.Reason = in.Reason
	ctx, cancel := a.context(c)
	defer cancel()
	if err := r.Admin.AcceptsArtifact(ctx, in.ID, in.Kind, in.Name); err != nil {
		return none, err
	}
	if err := r.Admin.EnsurePlatform(ctx); err != nil {
		return none, err
	}
	platform, err := a.TenantKeys.Of(ctx, storage.PlatformTenant)
	if err != nil {
		return none, err
	}
	up, err := upload.Read(c, platform, r.Admin.Actor)
	if err == nil && in.Name != "" {
		up.Name = strings.Clone(in.Name)
	}
	if err == nil {
		err = r.Admin.AcceptsArtifact(ctx, in.ID, in.Kind, up.Name)
	}
	if err != nil {
		a.Intake.RecordRefusal(c.UserContext(), up, "request", err)
		return none, err
	}
	cancel() // how long the bytes take is the stream's to judge
	receipt, err := a.Intake.Receive(c.UserContext(), up)
	if err != nil {
		return none, err
	}
	if receipt.Replayed {
		c.Set("Idempotent-Replayed", "true")
	}
	ctx, cancel = a.context(c)
	defer cancel()
	return r.Admin.AttachUpload(ctx, in.ID, in.Kind, receipt.Asset, !receipt.Replayed && !receipt.Mended)
}
