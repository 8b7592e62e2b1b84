/** The headers of /authz for a valid key. Servers that are measured for comparison send the same number. */
export const HEADERS = {
  'x-request-id': 'req_01h455vb4pex5vsknk084sn02q',
  'cache-control': 'no-store',
  'x-organization-id': 'org_01h455vb4pex5vsknk084sn02q',
  'x-project-id': '-',
  'x-api-key-id': 'key_01h455vb4pex5vsknk084sn02q',
  'x-api-key-environment': 'test',
  'x-api-key-external-id': '-',
  'x-scopes': 'triggers:read',
  'x-authz-code': 'valid',
  'x-authz-status': '200',
};
