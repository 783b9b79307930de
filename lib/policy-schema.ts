/**
 * What policies may speak about, in Cedar's schema language. It belongs to the broker, which sends exactly these facts,
 * and is part of the digest; `policies/sallyport.cedarschema` is a copy for readers and editors.
 */
export const policySchema = `// The vocabulary of Sallyport's policies. It belongs to the broker: change policies, not this file.
// All ids, names of tags, and the attributes app, id, name and os are in lower case.

// A group id of the token (at Entra a GUID). Tokens list nested groups, so groups are in no group here.
entity Group;

// Callers. Their id is "<tenant>.<subject>"; at Entra both are GUIDs.
entity User in [Group] {
  app: String, // the client application that holds the token
  issuer: String,
};
entity ServicePrincipal in [Group] {
  app: String,
  issuer: String,
};

// "<subscription>" and "<subscription>/<resource group>".
entity Subscription;
entity ResourceGroup in [Subscription];

// The id is the vmId of Azure, or the GUID of the inventory. Values of tags are as they stand on the VM.
entity VirtualMachine in [ResourceGroup] {
  id: String,
  name: String,
  os: String, // linux, windows or unknown
} tags String;

// Its tags are time zones of the IANA database: context.clock.getTag("Europe/Berlin").weekday
type Moment = {
  weekday: Long, // 1 is Monday, 7 is Sunday
  minuteOfDay: Long, // 0 is midnight, 1439 is the last minute
};
entity Clock tags Moment;

type Request = {
  port: Long,
  now: datetime,
  clock: Clock,
  durationSeconds: Long, // what the caller asks for
  signInAgeSeconds?: Long, // how long ago the caller signed in, where the token says so
  sourceIp?: ipaddr,
  reason?: String,
  change?: String, // a change or incident reference
  acrs: Set<String>, // authentication contexts that the caller has satisfied
  onBehalfOf?: User, // the person for whom a workload acts; that person has to be permitted as well
};

action connect;
action "connect.ssh", "connect.rdp", "connect.tcp" in [connect] appliesTo {
  principal: [User, ServicePrincipal],
  resource: VirtualMachine,
  context: Request,
};

// To have a stopped machine started for a session that is allowed.
action start appliesTo {
  principal: [User, ServicePrincipal],
  resource: VirtualMachine,
  context: Request,
};
`;
