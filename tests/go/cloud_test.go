// Package stillframe drives a running Stillframe by gophertelekomcloud, unmodified: what OTC's own Terraform provider
// stands on. `make test-go` starts one and says by the environment where it is.
package stillframe

import (
	"fmt"
	"os"
	"testing"

	golangsdk "github.com/opentelekomcloud/gophertelekomcloud"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack"
	th "github.com/opentelekomcloud/gophertelekomcloud/testhelper"
)

const (
	patienceS  = 300
	tinyImage  = "stillframe-tiny"
	tinyFlavor = "s3.small.1"
)

// clients has one client per service, all of one account.
type clients struct {
	provider  *golangsdk.ProviderClient
	imsV1     *golangsdk.ServiceClient
	imsV2     *golangsdk.ServiceClient
	computeV1 *golangsdk.ServiceClient
	computeV2 *golangsdk.ServiceClient
	volumeV3  *golangsdk.ServiceClient
	networkV1 *golangsdk.ServiceClient
	networkV2 *golangsdk.ServiceClient
}

func setting(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: `make test-go` starts a system and sets it", name)
	}
	return value
}

// byPassword logs in as the variables with this prefix say.
func byPassword(t *testing.T, prefix string) *clients {
	t.Helper()
	provider, err := openstack.AuthenticatedClient(golangsdk.AuthOptions{
		IdentityEndpoint: setting(t, "OS_AUTH_URL"),
		Username:         setting(t, prefix+"USERNAME"),
		Password:         setting(t, prefix+"PASSWORD"),
		DomainName:       setting(t, "OS_USER_DOMAIN_NAME"),
		TenantName:       setting(t, prefix+"PROJECT_NAME"),
		AllowReauth:      true,
	})
	th.AssertNoErr(t, err)
	return clientsOf(t, provider)
}

// bySignature signs every request with an access key, and asks for no token.
func bySignature(t *testing.T) *clients {
	t.Helper()
	provider, err := openstack.AuthenticatedClient(golangsdk.AKSKAuthOptions{
		IdentityEndpoint: setting(t, "OS_AUTH_URL"),
		ProjectName:      setting(t, "OS_PROJECT_NAME"),
		Region:           setting(t, "OS_REGION_NAME"),
		AccessKey:        setting(t, "OS_ACCESS_KEY"),
		SecretKey:        setting(t, "OS_SECRET_KEY"),
	})
	th.AssertNoErr(t, err)
	return clientsOf(t, provider)
}

func clientsOf(t *testing.T, provider *golangsdk.ProviderClient) *clients {
	t.Helper()
	region := golangsdk.EndpointOpts{Region: setting(t, "OS_REGION_NAME")}
	open := func(
		constructor func(*golangsdk.ProviderClient, golangsdk.EndpointOpts) (*golangsdk.ServiceClient, error),
	) *golangsdk.ServiceClient {
		client, err := constructor(provider, region)
		th.AssertNoErr(t, err)
		return client
	}
	return &clients{
		provider:  provider,
		imsV1:     open(openstack.NewIMSV1),
		imsV2:     open(openstack.NewIMSV2),
		computeV1: open(openstack.NewComputeV1),
		computeV2: open(openstack.NewComputeV2),
		volumeV3:  open(openstack.NewBlockStorageV3),
		networkV1: open(openstack.NewNetworkV1),
		networkV2: open(openstack.NewNetworkV2),
	}
}

// waitUntil polls; the error tells what it waited for.
func waitUntil(t *testing.T, what string, reached func() (bool, error)) {
	t.Helper()
	if err := golangsdk.WaitFor(patienceS, reached); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", what, err))
	}
}

// gone tells whether a query answered that there is no such thing.
func gone(err error) (bool, error) {
	if _, missing := err.(golangsdk.ErrDefault404); missing {
		return true, nil
	}
	return false, err
}
