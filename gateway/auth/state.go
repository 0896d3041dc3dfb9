package auth

import "gatehouse/storage"

var reasonClosing = storage.Reason{
	Slug:    "tenant_pending_delete",
	English: "The account has been closed and will be deleted with all of its files; until then the provider can restore it.",
	Chinese: "该账户已被关闭，账户及其全部文件将被删除；在此之前服务提供方可以恢复该账户。",
}

// answered says how a key of a tenant in that state is answered, whatever it asks for: nil when its scopes and
// MayUpload decide. A tenant that is not made yet, or is over, has no keys as far as anybody can tell.
func answered(s storage.TenantState) error {
	switch {
	case s.Served():
		return nil
	case s == storage.TenantPendingDelete:
		return storage.Refuse(storage.CodeTenantSuspended, nil).Because(reasonClosing)
	}
	return storage.Refuse(storage.CodeUnauthenticated, nil)
}
