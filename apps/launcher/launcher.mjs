// An old Node must be able to parse this file, which reports missing requirements. The rest is in main.mjs.
var node = process.versions.node;
var npm = /^npm\/(\d+)/.exec(process.env.npm_config_user_agent || '');

function refuse(sentence) {
  process.stderr.write(sentence + '\n');
  process.exit(1);
}

if (parseInt(node, 10) < 20) {
  refuse('Keyledger needs Node 20 or newer to start, and this is Node ' + node + ': install a newer version.');
} else if (npm && parseInt(npm[1], 10) < 10) {
  refuse(
    'Keyledger needs npm 10 or newer, and this is npm ' + npm[1] + ': update it with `npm install --global npm@10`.',
  );
} else {
  void import('./main.mjs').then(function (launcher) {
    return launcher.launch(process.argv.slice(2));
  });
}
